import { fromMongo } from '@silo/mongo/from-mongo.ts';
import { majorityTime } from '@silo/mongo/majority-time.ts';
import { reading } from '@silo/mongo/read.ts';
import { fromUnknownCommit, transact } from '@silo/mongo/transaction-retry.ts';
import type { Collection, Db, UpdateFilter } from 'mongodb';
import type { EventPlace } from '../rules/events/event-range.ts';
import type { Comparable, createCopiedEvents, Differences, EventBytes } from './copied-events.ts';
import { type Checkpoint, type CopyDocument, checkpointOf, copyOf } from './copy-checkpoint.ts';
import type { createMigrationRanges } from './migration-ranges.ts';
import type { StoreTransaction } from './usage.ts';

/** The copy is further than this process knows: a response of the database was lost. */
export class CopyAhead extends Error {
  override readonly name = 'CopyAhead';
}

/** The collections that a step changes. */
type Stores = {
  copies: Collection<CopyDocument>;
  ranges: ReturnType<typeof createMigrationRanges>;
  events: ReturnType<typeof createCopiedEvents>;
};

/** Writes the steps of a copy, each in one transaction with the resulting checkpoint. */
export function createCopySteps(db: Db, { copies, ranges, events }: Stores) {
  /** Runs `body` in the transaction that writes the checkpoint. Throws CopyAhead. */
  const step = async (
    checkpoint: Checkpoint,
    update: UpdateFilter<CopyDocument>,
    signal: AbortSignal,
    body: (tx: StoreTransaction, next: Checkpoint) => Promise<void> = async () => {},
  ): Promise<Checkpoint> => {
    const { migrationId, fence, steps } = checkpoint;
    const current = { _id: migrationId, fence, steps };
    const change = { ...update, $inc: { ...update.$inc, steps: 1 } } as typeof update;
    const decided = transact(db.client, { signal }, async (session) => {
      const options = { session, returnDocument: 'after' } as const;
      const written = await copies.findOneAndUpdate(current, change, options);
      if (written === null) throw new CopyAhead('another step was written');
      const next = checkpointOf(written);
      await body({ session }, next);
      return next;
    });
    try {
      return await decided;
    } catch (error) {
      throw fromMongo(fromUnknownCommit(error));
    }
  };

  /**
   * Reads stored events outside of a transaction. They stay the same until the next step, because
   * only steps change them.
   */
  const readDifferences = async (
    projectId: string,
    comparable: Comparable,
    signal: AbortSignal,
  ): Promise<Differences> => {
    const time = await reading(majorityTime(db), signal);
    const read = db.client.withSession({ causalConsistency: true }, async (session) => {
      session.advanceOperationTime(time);
      return await events.differences({ session }, projectId, comparable);
    });
    return await reading(read, signal);
  };

  /** Updates the digests of ranges by removed and added events. */
  const changeRanges = (
    tx: StoreTransaction,
    next: Checkpoint,
    removed: readonly EventBytes[],
    added: readonly EventBytes[],
  ) =>
    ranges.change(tx, copyOf(next), [
      ...removed.map(({ document, place }) => ({ document, place, isAdded: false })),
      ...added.map(({ document, place }) => ({ document, place, isAdded: true })),
    ]);

  /**
   * Removes stored events that differ from what the source has sent, until one transaction can
   * remove the rest: an earlier stay may have left any number of events that the source has deleted
   * since, and events may be large. `isThin` is false if there are still too many after some
   * removals. Safe to repeat: the resume token stays the same. Rejects if `mayRemove` does.
   */
  const thin = async (
    checkpoint: Checkpoint,
    comparable: Comparable,
    signal: AbortSignal,
    {
      counts,
      mayRemove = async () => {},
      removalsMax = Number.POSITIVE_INFINITY,
    }: {
      /** Whether the digest of a range has a removed event of this place. */
      counts: (place: EventPlace) => boolean;
      mayRemove?: (differences: Differences) => Promise<void>;
      removalsMax?: number;
    },
  ): Promise<{ checkpoint: Checkpoint; isThin: boolean }> => {
    let next = checkpoint;
    for (let removals = 0; removals < removalsMax; removals++) {
      const found = await readDifferences(checkpoint.projectId, comparable, signal);
      await mayRemove(found);
      if (found.isWhole) return { checkpoint: next, isThin: true };
      next = await step(next, {}, signal, async (tx, now) => {
        await events.remove(tx, found.removed);
        const counted = found.removed.filter(({ place }) => counts(place));
        await changeRanges(tx, now, counted, []);
      });
    }
    return { checkpoint: next, isThin: false };
  };

  return { step, thin, changeRanges };
}
