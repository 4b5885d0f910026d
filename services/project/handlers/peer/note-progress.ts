import type { Transaction } from '@silo/log/event-log.ts';
import type {
  NoteProgressRequest,
  NoteProgressResponse,
} from '@silo/protos/gen/silo/project/internal/v1/migration_peer_service.ts';
import { type Migration, MigrationState } from '@silo/protos/gen/silo/project/v1/migration.ts';
import type { Call } from '@silo/rpc/call.ts';
import { migrationMessage } from '../../messages.ts';
import { asMigration, reread } from '../../migration/migration-records.ts';
import { whyGone } from '../../rules/gone-project.ts';
import { isOver, mayBecome, notedStates, wrongState } from '../../rules/migration-states.ts';
import type { MigrationDocument } from '../../store/documents.ts';
import type { MigratingProjectStore } from '../../store/migrating-projects.ts';
import type { MigrationValues } from '../../store/migrations.ts';
import type { Dependencies } from '../dependencies.ts';
import { requireOffered } from './peer-records.ts';

const { MIGRATION_STATE_CANCELLED: cancelled } = MigrationState;
const { MIGRATION_STATE_CUTOVER: cutover, MIGRATION_STATE_DONE: done } = MigrationState;

/** Characters of what another region says to people. */
const failureMax = 1_000;

type Uses = Pick<Dependencies, 'eventLog' | 'migrations'> & {
  migratingProjects: Pick<MigratingProjectStore, 'read'>;
};

export async function noteProgress(
  { migration: given, revision }: NoteProgressRequest,
  call: Call,
  uses: Uses,
): Promise<NoteProgressResponse> {
  if (given === undefined) throw new TypeError('a progress without a migration');
  const record = await requireOffered(uses.migrations, given.id, call);
  const { value } = await uses.eventLog.decide(asMigration(record, call), (tx) =>
    note(uses, tx, given, revision),
  );
  return { migration: migrationMessage(value) };
}

/** Takes over what the destination says, as far as it decides it. */
async function note(
  { migrations, migratingProjects }: Uses,
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
    return await write({ ...noted(given, record), state: done, finishTime });
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
  // An older release does not say it.
  if (revision === 0) return await write(values);
  // The call may be carried out after the one that followed it.
  const isLatest = { notedRevision: { $not: { $gt: revision } } };
  return await write({ ...values, notedRevision: revision }, isLatest);
}

/** What the source records of the destination's record. An undefined value removes its field. */
function noted(given: Migration, { progress }: MigrationDocument): MigrationValues {
  const { accepterAccountId, acceptTime, startTime, failure } = given;
  const known = Object.entries({ ...progress, ...given.progress });
  return {
    ...(accepterAccountId !== '' && { accepterAccountId }),
    ...(acceptTime && { acceptTime }),
    ...(startTime && { startTime }),
    failure: failure === '' ? undefined : failure.slice(0, failureMax),
    finishTime: given.finishTime,
    progress: Object.fromEntries(known.filter(([, value]) => value !== undefined)),
  };
}
