import type { Transaction } from '@silo/log/event-log.ts';
import { type Migration, MigrationState } from '@silo/protos/gen/silo/project/v1/migration.ts';
import { isId } from '@silo/tokens/ids.ts';
import { whyGone } from '../rules/gone-project.ts';
import { isOver, mayBecome, notedStates, wrongState } from '../rules/migration-states.ts';
import type { MigrationDocument } from '../store/documents.ts';
import type { MigratingProjectStore } from '../store/migrating-projects.ts';
import type { MigrationStore, MigrationValues } from '../store/migrations.ts';
import { reread } from './migration-records.ts';

const { MIGRATION_STATE_CANCELLED: cancelled } = MigrationState;
const { MIGRATION_STATE_CUTOVER: cutover, MIGRATION_STATE_DONE: done } = MigrationState;

/** Largest number of characters of a text from the other region. */
const failureMax = 1_000;

/** What the source uses to record the progress that the destination reports. */
export type ProgressDependencies = {
  migrations: Pick<MigrationStore, 'read' | 'write'>;
  migratingProjects: Pick<MigratingProjectStore, 'read'>;
};

/**
 * Records at the source the fields of the destination's record that the destination decides.
 * `revision` is that of the destination's record; 0 if not known.
 */
export async function recordProgress(
  { migrations, migratingProjects }: ProgressDependencies,
  tx: Transaction,
  given: Migration,
  revision: number,
): Promise<MigrationDocument> {
  const record = await reread(migrations, tx, given.id);
  const write = async (values: MigrationValues, expected = {}) =>
    (await migrations.write(tx, record, values, expected)) ?? record;
  if (isOver(record.state)) return record;
  if (given.state === done) {
    if (record.commitTime === undefined) throw wrongState(record);
    const finishTime = given.finishTime ?? tx.now;
    const ended = { ...noted(given, record), state: done, finishTime };
    return await write({ ...ended, ...(record.isRetired && { isOpen: undefined }) });
  }
  if (record.state === cutover) return record;
  const gone = whyGone(record, await migratingProjects.read(tx, record.projectId));
  if (gone !== undefined) {
    const ended = { state: cancelled, finishTime: tx.now, isOpen: undefined };
    return await write({ ...ended, failure: gone });
  }
  const isNews =
    notedStates.includes(given.state) && mayBecome('source', record.state, given.state);
  const values = { ...noted(given, record), ...(isNews && { state: given.state }) };
  // An older release does not send it.
  if (revision === 0) return await write(values);
  // Calls may arrive out of order.
  const isLatest = { notedRevision: { $not: { $gt: revision } } };
  return await write({ ...values, notedRevision: revision }, isLatest);
}

/**
 * The fields that the source takes from the destination's record. An undefined value removes its
 * field.
 */
function noted(given: Migration, { progress }: MigrationDocument): MigrationValues {
  const { accepterAccountId, acceptTime, startTime, failure } = given;
  const known = Object.entries({ ...progress, ...given.progress });
  return {
    ...(isId('account', accepterAccountId) && { accepterAccountId }),
    ...(acceptTime && { acceptTime }),
    ...(startTime && { startTime }),
    failure: failure === '' ? undefined : failure.slice(0, failureMax),
    finishTime: given.finishTime,
    progress: Object.fromEntries(known.filter(([, value]) => value !== undefined)),
  };
}
