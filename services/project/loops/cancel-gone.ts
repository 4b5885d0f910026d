import type { EventLog } from '@silo/log/event-log.ts';
import { MigrationState } from '@silo/protos/gen/silo/project/v1/migration.ts';
import type { Log } from '@silo/runtime/log.ts';
import { runForever } from '@silo/runtime/run-forever.ts';
import { asMigration, cancelIfGone, reread } from '../migration/migration-records.ts';
import { whyGone } from '../rules/gone-project.ts';
import { statesBefore } from '../rules/migration-states.ts';
import type { MigrationDocument } from '../store/documents.ts';
import type { MigratingProjectStore } from '../store/migrating-projects.ts';
import type { MigrationStore, OpenRecords } from '../store/migrations.ts';
import { each } from './each.ts';
import { inPages } from './in-pages.ts';

const intervalMs = 5_000;
/** Maximum number of records in one turn. */
const recordsMax = 100;
const atOnceMax = 4;

type Dependencies = {
  migrations: Pick<MigrationStore, 'openAfter' | 'read' | 'become'>;
  migratingProjects: Pick<MigratingProjectStore, 'findMany' | 'read'>;
  eventLog: Pick<EventLog, 'decide'>;
  log: Log;
};

/**
 * Cancels migrations from this region whose project was deleted or moved, until the signal aborts.
 * Otherwise an offer that nobody accepts, or whose other region does not call, would stay open for
 * ever. Every replica does this. The transaction that moves a project does not, because it would
 * cost every move one more statement.
 */
export async function cancelGone(dependencies: Dependencies, signal: AbortSignal): Promise<void> {
  await runForever(
    { name: 'cancel-gone', intervalMs, signal, log: dependencies.log },
    cancellingGone(dependencies),
  );
}

/**
 * Takes one turn per call, each with the next page of migrations.
 * @internal Exported for tests.
 */
export function cancellingGone({
  migrations,
  migratingProjects,
  eventLog,
}: Omit<Dependencies, 'log'>): (signal: AbortSignal) => Promise<void> {
  const states = statesBefore('source', MigrationState.MIGRATION_STATE_CANCELLED);
  const records: OpenRecords = { side: 'source', states };
  const next = inPages(recordsMax, (after, signal) =>
    migrations.openAfter(after, records, recordsMax, signal),
  );
  const cancel = async (record: MigrationDocument, signal: AbortSignal) => {
    await eventLog.decide(asMigration(record, { signal }), async (tx) => {
      const present = await reread(migrations, tx, record._id);
      const project = await migratingProjects.read(tx, record.projectId);
      await cancelIfGone(migrations, tx, present, project);
    });
  };
  return async (signal) => {
    const page = await next(signal);
    const ids = page.map(({ projectId }) => projectId);
    const projects = await migratingProjects.findMany(ids, signal);
    const gone = page.filter(
      (record) => whyGone(record, projects.get(record.projectId)) !== undefined,
    );
    await each(gone, atOnceMax, (record) => cancel(record, signal));
  };
}
