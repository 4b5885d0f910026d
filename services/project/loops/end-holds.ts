import type { EventLog, Transaction } from '@silo/log/event-log.ts';
import { MigrationState } from '@silo/protos/gen/silo/project/v1/migration.ts';
import type { Log } from '@silo/runtime/log.ts';
import { runForever } from '@silo/runtime/run-forever.ts';
import type { Peers } from '@silo/service/peers.ts';
import { heldSeconds, releaseHold } from '../migration/release-hold.ts';
import type { MigrationMetrics } from '../migration-metrics.ts';
import { holdMsMax } from '../rules/cutover-times.ts';
import type { AttemptStore } from '../store/attempts.ts';
import type { MigrationDocument } from '../store/documents.ts';
import type { MigratingProjectStore } from '../store/migrating-projects.ts';
import type { MigrationStore } from '../store/migrations.ts';
import { each } from './each.ts';

const intervalMs = 500;
/** Maximum pause, also after failures: captures wait. */
const lateMsMax = 1_000;
/** Timeout for retiring a token: one that cannot be retired delays the others by this much. */
const retireMsMax = 5_000;
const recordsMax = 100;
const retiredAtOnce = 8;

type Dependencies = {
  attempts: AttemptStore;
  migratingProjects: MigratingProjectStore;
  migrations: Pick<MigrationStore, 'write'>;
  eventLog: Pick<EventLog, 'decide'>;
  secrets: Pick<Peers['token']['secrets'], 'retireProjectToken'>;
  metrics: Pick<MigrationMetrics, 'held'>;
  log: Log;
};

/**
 * Until the signal aborts, ends attempts at a cutover that exceed their time limit, regardless of
 * the other region; and informs subscribers that the tokens of migrated projects have ended here.
 * Every replica does this.
 */
export async function endHolds(dependencies: Dependencies, signal: AbortSignal): Promise<void> {
  const options = { intervalMs, signal, log: dependencies.log };
  // Concurrently: a token service that does not answer must not prolong a hold.
  await Promise.all([
    runForever({ ...options, name: 'end-holds', capMs: lateMsMax }, async () => {
      const late = await dependencies.attempts.late(recordsMax, signal);
      await each(late, recordsMax, (record) => endLate(dependencies, record, signal));
    }),
    runForever({ ...options, name: 'retire-tokens', capMs: retireMsMax }, async () => {
      const committed = await dependencies.attempts.committed(recordsMax, signal);
      await each(committed, retiredAtOnce, (record) => retire(dependencies, record, signal));
    }),
  ]);
}

async function endLate(
  dependencies: Dependencies,
  record: MigrationDocument,
  signal: AbortSignal,
): Promise<void> {
  const { attempt } = record;
  const failure = 'The destination did not finish the cutover in time.';
  const ended = await decide(dependencies, record, signal, (tx) =>
    releaseHold(dependencies, tx, { record, attempt, failure, onlyAfterMs: holdMsMax }),
  );
  if (ended === undefined) return;
  dependencies.metrics.held('released', heldSeconds(ended));
  dependencies.log.warn({ migrationId: record._id, attempt }, 'a cutover took too long');
}

async function retire(
  dependencies: Dependencies,
  record: MigrationDocument,
  signal: AbortSignal,
): Promise<void> {
  const { _id: correlationId, projectId, sourceOrganizationId: organizationId, actor } = record;
  await dependencies.secrets.retireProjectToken(
    { projectId, organizationId, actor, correlationId },
    { signal },
  );
  // Another process may have done it from an older list, and a purge may have reopened the record.
  const noPurge = { isPurging: { $exists: false } };
  await decide(dependencies, record, signal, async (tx) => {
    const retired = await dependencies.migrations.write(tx, record, { isRetired: true }, noPurge);
    // The record stays open until the destination has reported the end.
    if (retired?.state !== MigrationState.MIGRATION_STATE_DONE) return;
    await dependencies.migrations.write(tx, record, { isOpen: undefined });
  });
}

async function decide<T>(
  { eventLog }: Dependencies,
  { _id: id, actor }: MigrationDocument,
  signal: AbortSignal,
  by: (tx: Transaction) => Promise<T>,
): Promise<T> {
  const mutation = { id, actor, signal, authorization: undefined };
  return (await eventLog.decide(mutation, by)).value;
}
