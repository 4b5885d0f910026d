import type { EventLog } from '@silo/log/event-log.ts';
import { MigrationState } from '@silo/protos/gen/silo/project/v1/migration.ts';
import type { Log } from '@silo/runtime/log.ts';
import { runForever } from '@silo/runtime/run-forever.ts';
import { askRegion, type Regions } from '@silo/service/regions.ts';
import { type ProgressDependencies, recordProgress } from '../migration/destination-progress.ts';
import { asMigration } from '../migration/migration-records.ts';
import type { MigrationDocument } from '../store/documents.ts';
import type { MigrationStore, OpenRecords } from '../store/migrations.ts';
import { each } from './each.ts';
import { inPages } from './in-pages.ts';

const intervalMs = 10_000;
/** Maximum number of records in one turn. */
const recordsMax = 100;
/** Maximum number of concurrent calls to one other region. */
const atOnceMax = 4;

const { MIGRATION_STATE_CUTOVER: cutover, MIGRATION_STATE_DONE: done } = MigrationState;

type Dependencies = ProgressDependencies & {
  migrations: Pick<MigrationStore, 'openAfter'>;
  eventLog: Pick<EventLog, 'decide'>;
  regions: Regions;
  log: Log;
};

/**
 * Asks the destinations of committed cutovers whether they are done, until the signal aborts. A
 * destination reports that once; a source that was restored from a backup may have lost the report.
 * Every replica does this. A region that does not answer delays no other region.
 */
export async function followCommits(
  dependencies: Dependencies,
  signal: AbortSignal,
): Promise<void> {
  const options = { name: 'follow-commits', intervalMs, signal, log: dependencies.log };
  const regions = [...dependencies.regions.keys()];
  await Promise.all(
    regions.map((region) => runForever(options, followingCommits(dependencies, region))),
  );
}

/**
 * Takes one turn per call, each with the next page of the records of one region.
 * @internal Exported for tests.
 */
export function followingCommits(
  dependencies: Dependencies,
  region: string,
): (signal: AbortSignal) => Promise<void> {
  const records: OpenRecords = { side: 'source', states: [cutover], destinationRegion: region };
  const next = inPages(recordsMax, (after, signal) =>
    dependencies.migrations.openAfter(after, records, recordsMax, signal),
  );
  return async (signal) => {
    const committed = (await next(signal)).filter(({ commitTime }) => commitTime !== undefined);
    await each(committed, atOnceMax, (record) => look(dependencies, record, signal));
  };
}

async function look(
  dependencies: Dependencies,
  record: MigrationDocument,
  signal: AbortSignal,
): Promise<void> {
  const { _id: migrationId, destinationRegion } = record;
  const { migration } = await askRegion(dependencies.regions, destinationRegion, (client) =>
    client.getOffer({ migrationId }, { signal }),
  );
  // In any other state a process of the destination continues the migration.
  if (migration?.id !== migrationId || migration.state !== done) return;
  await dependencies.eventLog.decide(asMigration(record, { signal }), (tx) =>
    recordProgress(dependencies, tx, migration, 0),
  );
  dependencies.log.info({ migrationId }, 'the lost report of the end of a migration was recovered');
}
