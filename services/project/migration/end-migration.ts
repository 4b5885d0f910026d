import { reasonOf } from '@silo/errors/from-status.ts';
import type { Transaction } from '@silo/log/event-log.ts';
import {
  type MigrationProgress,
  MigrationState,
} from '@silo/protos/gen/silo/project/v1/migration.ts';
import { equalJitterMs } from '@silo/runtime/random.ts';
import type { RegionClient } from '@silo/service/regions.ts';
import type { MigrationDocument } from '../store/documents.ts';
import type { MigrationValues } from '../store/migrations.ts';
import { freeSlot } from './arrival.ts';
import { callRegion, causeOf } from './region-failed.ts';
import { noteOf } from './report-progress.ts';
import { decide, Superseded, type Work } from './work.ts';

const cancelled = MigrationState.MIGRATION_STATE_CANCELLED;
const informTriesMax = 5;
const pauses = { baseMs: 200, capMs: 5_000 };

/**
 * Informs the source after the project is in use here, and removes the state of the copy. Rejects
 * with RegionFailed if the source does not record it: it is informed later.
 */
export async function endMigration(
  work: Work,
  record: MigrationDocument,
  progress: Partial<MigrationProgress> = {},
): Promise<void> {
  const { dependencies, signal, fence } = work;
  const { _id: id, sourceRegion } = record;
  const present =
    (await dependencies.migrations.report({ _id: id, fence }, progress, signal)) ?? record;
  for (let tries = 1; ; tries++) {
    try {
      const note = (client: RegionClient) => client.noteProgress(noteOf(present), { signal });
      await callRegion(dependencies.regions, sourceRegion, note, signal);
      break;
    } catch (error) {
      signal.throwIfAborted();
      // The source was restored to a time before the migration: nobody is left to inform.
      if (reasonOf(causeOf(error)) === 'MIGRATION_NOT_FOUND') break;
      dependencies.log.info(
        { migrationId: id, err: error },
        'the source could not be informed of the end yet',
      );
      if (tries >= informTriesMax) throw error;
    }
    await dependencies.sleep(equalJitterMs(tries, pauses), signal);
  }
  // Not earlier: a process that was paused would recreate a removed copy, but now the source
  // refuses to serve it.
  await dependencies.copies.forget(id, signal);
  await decide(work, record, (tx) => close(work, tx, record));
}

/** Records that the source has cancelled the migration. */
export async function cancelHere(
  work: Work,
  record: MigrationDocument,
  failure: string,
): Promise<MigrationDocument> {
  const { migrations } = work.dependencies;
  const { fence } = work;
  return await decide(work, record, async (tx) => {
    const why = failure === '' ? {} : { failure };
    const values = { ...why, putOff: undefined, finishTime: tx.now };
    const ended = await migrations.become(tx, record, cancelled, values, { fence });
    if (ended !== undefined) return ended;
    const present = await migrations.read(tx, record._id);
    return present?.state === cancelled && present.fence === fence ? present : undefined;
  });
}

/** Removes the data of a cancelled migration. Keeps events of an earlier stay. */
export async function removeCancelled(work: Work, record: MigrationDocument): Promise<void> {
  const { dependencies, signal, fence } = work;
  const { _id: id, projectId, hasEvents } = record;
  let hasStayed = false;
  await decide(work, record, async (tx) => {
    hasStayed = (await dependencies.migratingProjects.read(tx, projectId)) !== undefined;
    await freeSlot(work, tx, id);
    return await dependencies.migrations.write(tx, record, { hasSlot: undefined }, { fence });
  });
  // From now on no process writes for the copy.
  await dependencies.copies.forget(id, signal);
  if (!hasEvents) {
    const expected = { side: 'destination' as const, state: cancelled, fence };
    if (!(await dependencies.removal.removeAll(record, expected, signal))) throw new Superseded(id);
  }
  // An uncommitted attempt at the cutover may have brought a token, and its call may still be
  // carried out later. A project with an earlier stay keeps a token.
  const over = { projectId, correlationId: id };
  if (hasStayed) await dependencies.secrets.endProjectTokenAdoption(over, { signal });
  else await dependencies.secrets.purgeProjectToken({ ...over, adoptedBy: id }, { signal });
  dependencies.log.info({ migrationId: id }, 'a cancelled migration is removed');
  // A record of a project with an earlier stay ends with the project.
  await decide(work, record, (tx) =>
    close(work, tx, record, hasStayed ? {} : { goneTime: tx.now }),
  );
}

/** Closes the record: no work is left. */
async function close(
  { dependencies: { migrations }, fence }: Work,
  tx: Transaction,
  record: MigrationDocument,
  values: Pick<MigrationValues, 'goneTime'> = {},
): Promise<MigrationDocument | undefined> {
  const closed = { ...values, isOpen: undefined, putOff: undefined };
  return await migrations.write(tx, record, closed, { fence });
}
