import type { Row } from './row.ts';
import { abuse } from './rows/abuse.ts';
import { acknowledgements } from './rows/acknowledgements.ts';
import { answeredFromMemory } from './rows/answered-from-memory.ts';
import { batch500 } from './rows/batch-500.ts';
import { capture401 } from './rows/capture-401.ts';
import { captureGrpc } from './rows/capture-grpc.ts';
import { captureHttp } from './rows/capture-http.ts';
import { capturePeer } from './rows/capture-peer.ts';
import { createProject } from './rows/create-project.ts';
import { decodeEvent } from './rows/decode-event.ts';
import { emptyRpc } from './rows/empty-rpc.ts';
import { migrationCopy } from './rows/migration-copy.ts';
import { migrationHold } from './rows/migration-hold.ts';
import { migrationLatency } from './rows/migration-latency.ts';
import { moveFlooded } from './rows/move-flooded.ts';
import { moveProject } from './rows/move-project.ts';
import { moveWithPlan } from './rows/move-with-plan.ts';
import { mutations } from './rows/mutations.ts';
import { queryGrowth } from './rows/query-growth.ts';
import { queryHost } from './rows/query-host.ts';
import { resources } from './rows/resources.ts';
import { revoke } from './rows/revoke.ts';
import { verifyInProcess } from './rows/verify-in-process.ts';
import { verifyRpc } from './rows/verify-rpc.ts';
import { verifyTracedOff } from './rows/verify-traced-off.ts';

/** Every row, in the order in which the table has them. */
export const rows: readonly Row[] = [
  emptyRpc,
  ...mutations,
  ...verifyInProcess,
  verifyRpc,
  verifyTracedOff,
  ...revoke,
  acknowledgements,
  decodeEvent,
  answeredFromMemory,
  ...moveProject,
  ...moveWithPlan,
  ...moveFlooded,
  batch500,
  ...createProject,
  captureGrpc,
  captureHttp,
  capture401,
  capturePeer,
  queryHost,
  queryGrowth,
  migrationCopy,
  ...migrationHold,
  ...migrationLatency,
  ...abuse,
  ...resources,
];
