import type { Access } from '@silo/access/access.ts';
import type { EventLog } from '@silo/log/event-log.ts';
import type { Reading } from '@silo/rpc/reading.ts';
import type { Sagas } from '@silo/saga/sagas.ts';
import type { Peers } from '@silo/service/peers.ts';
import type { Regions } from '@silo/service/regions.ts';
import type { Region } from '@silo/tokens/ids.ts';
import type { CreateProjectsSaga } from '../sagas/create-projects.ts';
import type { MigrationStore } from '../store/migrations.ts';
import type { MoveStore } from '../store/moves.ts';
import type { ProjectStore } from '../store/projects.ts';
import type { SlotStore } from '../store/slots.ts';
import type { ReadMoveAccess } from './shared/read-move-access.ts';

/** All dependencies of the handlers; each handler names those that it uses. */
export type Dependencies = {
  projects: ProjectStore;
  slots: SlotStore;
  moves: MoveStore;
  eventLog: EventLog;
  access: Access;
  migrations: MigrationStore;
  peers: { org: Pick<Peers['org'], 'directory'> };
  /** This region, and the clients of the other regions. */
  region: Region;
  regions: Regions;
  readMoveAccess: ReadMoveAccess;
  /** Limits reads whose cost grows with the stored data, except reads of events. */
  reading: Reading;
  sagas: Sagas;
  createProjects: CreateProjectsSaga;
};
