import { fromMongo } from '@silo/mongo/from-mongo.ts';
import { readLinearizable } from '@silo/mongo/linearizable.ts';
import { bounded, collectionOptions, reading } from '@silo/mongo/read.ts';
import { fromUnknownCommit, transact } from '@silo/mongo/transaction-retry.ts';
import { Binary, type Collection, type Db, type UpdateFilter } from 'mongodb';
import { copiedChanges } from '../rules/events/copied-changes.ts';
import { EventDigest } from '../rules/events/event-digest.ts';
import {
  comparePlaces,
  type EventPlace,
  type EventRange,
  firstPlace,
  isEndless,
  isWithin,
} from '../rules/events/event-range.ts';
import { AlreadyThere } from './captured-events.ts';
import { createCopiedEvents, type EventBytes, isAlike } from './copied-events.ts';
import { type Checkpoint, type CopyDocument, checkpointOf, copyOf } from './copy-checkpoint.ts';
import { storedPlace } from './migration-events.ts';
import { type CopiedRange, createMigrationRanges, type NewRange } from './migration-ranges.ts';
import { bytesIn, type SentChanges, type SentRange } from './sent-events.ts';
import type { StoreTransaction } from './usage.ts';

/** A sent range with its beginning; `repairs` is the number of times that it was copied again. */
type PlacedRange = Omit<SentRange, 'last'> & { range: EventRange; repairs?: number };

/** A range that differs from the source's. */
type Differing = { range: CopiedRange; isExpected: boolean; mayRemove: MayRemove };

/** Rejects if any of these events of a copy must not be removed or replaced. */
export type MayRemove = (events: readonly EventBytes[]) => Promise<void>;

/** Another process continues the copy. */
export class CopySuperseded extends Error {
  override readonly name = 'CopySuperseded';
}

/** The copy is further than this process knows: a response of the database was lost. */
export class CopyAhead extends Error {
  override readonly name = 'CopyAhead';
}

/** Applies the steps of a copy, each in one transaction with the resulting checkpoint. */
export type MigrationCopyStore = ReturnType<typeof createMigrationCopyStore>;

export const migrationCopiesName = 'migration_copies';
/** A larger removal would delay the captures of others. */
const removedAtOnce = 500;
/** Maximum number of removals before changes of the source are applied again. */
const removalsMax = 20;
/** The fence of an ended copy: no process has a larger one. */
const endedFence = Number.MAX_SAFE_INTEGER;

export function createMigrationCopyStore(db: Db) {
  const copies: Collection<CopyDocument> = db.collection(migrationCopiesName, collectionOptions);
  const ranges = createMigrationRanges(db);
  const events = createCopiedEvents(db);

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
   * Reads events outside of a transaction. They stay the same until the next step, because only
   * steps change them.
   */
  const readEvents = async <T>(
    read: (tx: StoreTransaction) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T> =>
    await reading(
      db.client.withSession((session) => read({ session })),
      signal,
    );

  /** Determines the events to remove and to add so that a range equals what the source has sent. */
  const differences = async (
    tx: StoreTransaction,
    projectId: string,
    { range, events: all }: Pick<PlacedRange, 'range' | 'events'>,
  ) => {
    if (all === undefined) throw new TypeError('the range has no events');
    // An event that was moved while the source read the range may occur twice: the later one is
    // newer.
    const last = new Map(all.map((event) => [event.key, event]));
    const sent = all.filter((event) => last.get(event.key) === event);
    const stored: EventBytes[] = await events.inRange(tx, projectId, range);
    const known = new Set(stored.map(({ key }) => key));
    const others = sent.filter(({ key }) => !known.has(key)).map(({ place }) => place.uuid);
    stored.push(...(await events.find(tx, projectId, others)));
    const isWhole = sent.length === all.length;
    return { sent, isWhole, ...copiedChanges(stored, sent, () => true) };
  };

  /** Makes the events of a range equal to what the source has sent, and stores the range. */
  const storeEqual = async (
    tx: StoreTransaction,
    next: Checkpoint,
    placed: PlacedRange,
  ): Promise<void> => {
    const { range, digest, repairs } = placed;
    const { projectId } = next;
    const { sent, isWhole, removed, added } = await differences(tx, projectId, placed);
    await events.remove(tx, removed);
    await events.insert(tx, projectId, added);
    const isElsewhere = ({ place }: EventBytes) =>
      !isWithin(range, place) && (next.isScanned || comparePlaces(place, next.after) <= 0);
    const elsewhere = removed.filter(isElsewhere);
    const whole = isWhole ? digest : EventDigest.of(sent.map(({ document }) => document));
    const stored = { ...newRange({ range, digest: whole, events: sent }), repairs };
    await ranges.insert(tx, copyOf(next), [stored]);
    await changeRanges(tx, next, elsewhere, []);
  };

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

  return {
    /** Claims a copy for a process, and creates it if there is none. Throws CopySuperseded. */
    async open(
      migration: { id: string; projectId: string; digestsOnly: boolean },
      fence: number,
      signal: AbortSignal,
    ): Promise<Checkpoint> {
      const { id: _id, projectId, digestsOnly } = migration;
      const begun = {
        ...{ projectId, digestsOnly, fence: 0, steps: 0, scan: 1, fencedAttempt: 0 },
        ...{ after: storedPlace(firstPlace), isScanned: false },
        ...{ eventsCopied: 0, bytesCopied: 0, changesApplied: 0, rangesRepaired: 0 },
      };
      const upsert = { ...bounded, upsert: true };
      await reading(copies.updateOne({ _id }, { $setOnInsert: begun }, upsert), signal);
      const claimed = copies.findOneAndUpdate(
        { _id, fence: { $lte: fence } },
        { $set: { fence } },
        { ...bounded, returnDocument: 'after' },
      );
      const copy = await reading(claimed, signal);
      if (copy === null) throw new CopySuperseded('a later process has claimed the copy');
      return checkpointOf(copy);
    },

    /** Reads the current checkpoint. Throws CopySuperseded. */
    async reload(
      { migrationId, fence }: Pick<Checkpoint, 'migrationId' | 'fence'>,
      signal: AbortSignal,
    ): Promise<Checkpoint> {
      const copy = await readLinearizable(copies, { _id: migrationId }, { signal });
      if (copy?.fence !== fence) throw new CopySuperseded('another process continues the copy');
      return checkpointOf(copy);
    },

    /** Stores the ranges that follow the scanned ones. */
    async applyRanges(
      checkpoint: Checkpoint,
      sent: readonly SentRange[],
      resumeToken: Uint8Array,
      signal: AbortSignal,
    ): Promise<Checkpoint> {
      let { after } = checkpoint;
      const placed = sent.map(({ last, ...range }) => {
        const begin = after;
        after = last;
        return { ...range, range: { after: begin, last } };
      });
      const update = {
        $set: {
          ...{ after: storedPlace(after), isScanned: isEndless({ last: after }) },
          resumeToken: new Binary(resumeToken),
        },
        $inc: {
          eventsCopied: sent.reduce((sum, { digest }) => sum + digest.count, 0),
          bytesCopied: sent.reduce((sum, { events: all = [] }) => sum + bytesIn(all), 0),
        },
      };
      const apply = (isFresh: boolean) =>
        step(checkpoint, update, signal, async (tx, next) => {
          if (isFresh) {
            for (const { events: all = [] } of placed) {
              await events.insert(tx, next.projectId, all);
            }
            await ranges.insert(tx, copyOf(next), placed.map(newRange));
            return;
          }
          // Only this range counts as scanned: later ranges are not stored yet.
          for (const each of placed) {
            const now = { ...next, after: each.range.last, isScanned: false };
            await storeEqual(tx, now, each);
          }
        });
      try {
        return await apply(true);
      } catch (error) {
        if (error instanceof AlreadyThere) return await apply(false);
        throw error;
      }
    },

    /**
     * Makes changed events equal to what the source has sent, and replaces only events that differ.
     */
    async applyChanges(
      checkpoint: Checkpoint,
      { uuids, events: sent }: SentChanges,
      resumeToken: Uint8Array,
      signal: AbortSignal,
    ): Promise<Checkpoint> {
      const update = {
        $set: { resumeToken: new Binary(resumeToken) },
        $inc: { changesApplied: uuids.length },
      };
      return await step(checkpoint, update, signal, async (tx, next) => {
        const { projectId } = next;
        const stored = await events.find(tx, projectId, uuids);
        const { removed, added } = copiedChanges(stored, sent, (place) => isReached(next, place));
        await events.remove(tx, removed);
        await events.insert(tx, projectId, added);
        await events.requireStored(tx, projectId, added);
        const counted = removed.filter(({ place }) => isReached(next, place));
        await changeRanges(tx, next, counted, added);
      });
    },

    /** Notes the position in the changes, and the attempt whose fence was reached. */
    async note(
      checkpoint: Checkpoint,
      { resumeToken, fencedAttempt }: { resumeToken: Uint8Array; fencedAttempt?: number },
      signal: AbortSignal,
    ): Promise<Checkpoint> {
      const fenced = fencedAttempt === undefined ? {} : { fencedAttempt };
      const $set = { resumeToken: new Binary(resumeToken), ...fenced };
      return await step(checkpoint, { $set }, signal);
    },

    /** Restarts the scan, with digests: the changes that would follow are lost. */
    async restart(checkpoint: Checkpoint, signal: AbortSignal): Promise<Checkpoint> {
      const update = {
        $set: {
          ...{ after: storedPlace(firstPlace), isScanned: false, digestsOnly: true },
          eventsCopied: 0,
        },
        $unset: { resumeToken: '', comparesAgain: '' },
        $inc: { scan: 1 },
      } as const;
      const next = await step(checkpoint, update, signal);
      await ranges.remove({ copy: copyOf(checkpoint) }, signal);
      return next;
    },

    /**
     * Removes events of a range that the source has not sent, until one transaction can remove the
     * rest: an earlier stay may have left any number of events that the source has deleted since.
     * `isThin` is false if there are still too many. Rejects if `mayRemove` does.
     */
    async thin(
      checkpoint: Checkpoint,
      { range, mayRemove }: { range: EventRange; mayRemove: MayRemove },
      sent: readonly EventBytes[],
      signal: AbortSignal,
    ): Promise<{ checkpoint: Checkpoint; isThin: boolean }> {
      const { projectId } = checkpoint;
      const kept = new Set(sent.map(({ key }) => key));
      const max = kept.size + removedAtOnce;
      const others = { kept, limit: removedAtOnce };
      let next = checkpoint;
      for (let removals = 0; removals < removalsMax; removals++) {
        const isThin = (await events.count(projectId, range, max + 1, signal)) <= max;
        if (isThin) return { checkpoint: next, isThin };
        const removed = await readEvents(
          (tx) => events.othersInRange(tx, projectId, range, others),
          signal,
        );
        await mayRemove(removed);
        next = await step(next, {}, signal, (tx) => events.remove(tx, removed));
      }
      return { checkpoint: next, isThin: false };
    },

    /**
     * Makes the beginning of a range equal to the source's, and returns the rest of the range.
     * Counts the range as repaired unless a difference was expected. Rejects if `mayRemove` does,
     * which is not called for events that differ only in the values of chosen properties.
     */
    async repair(
      checkpoint: Checkpoint,
      { range, isExpected, mayRemove }: Differing,
      { last, digest, events: sent = [] }: SentRange,
      signal: AbortSignal,
    ): Promise<{ checkpoint: Checkpoint; rest: CopiedRange | undefined }> {
      const repaired = { after: range.after, last };
      const { removed, added } = await readEvents(
        (tx) => differences(tx, checkpoint.projectId, { range: repaired, events: sent }),
        signal,
      );
      const replaced = new Map(added.map((event) => [event.key, event]));
      await mayRemove(removed.filter((event) => !isAlike(event, replaced.get(event.key))));
      const isWhole = comparePlaces(last, range.last) >= 0;
      const rangesRepaired = isWhole && !isExpected ? 1 : 0;
      const update = { $inc: { bytesCopied: bytesIn(sent), rangesRepaired } };
      let rest: CopiedRange | undefined;
      const next = await step(checkpoint, update, signal, async (tx, now) => {
        const isThere = await ranges.take(tx, { id: range.id, last: range.last });
        if (!isThere) throw new CopyAhead('the range was replaced');
        const { repairs } = range;
        if (!isWhole) {
          const left = { after: last, last: range.last, repairs };
          [rest] = await ranges.insert(tx, copyOf(now), [left]);
        }
        const placed = { range: repaired, digest, events: sent, repairs: repairs + 1 };
        await storeEqual(tx, now, placed);
      });
      return { checkpoint: next, rest };
    },

    /** Replaces a range, unless it has changed, by parts with known digests. */
    async split(
      checkpoint: Checkpoint,
      range: CopiedRange,
      parts: readonly NewRange[],
      signal: AbortSignal,
    ): Promise<Checkpoint> {
      return await step(checkpoint, {}, signal, async (tx, next) => {
        if (await ranges.take(tx, range)) await ranges.insert(tx, copyOf(next), parts);
      });
    },

    /**
     * Notes that all ranges of the scan must be compared again; a later process continues this
     * comparison.
     */
    async compareAgain(checkpoint: Checkpoint, signal: AbortSignal): Promise<Checkpoint> {
      return await step(checkpoint, { $set: { comparesAgain: true } }, signal);
    },

    /** Discards the progress of that comparison: the next process compares all ranges once more. */
    async doubt({ session }: StoreTransaction, migrationId: string): Promise<void> {
      const change = { $unset: { comparesAgain: '' } } as const;
      await copies.updateOne({ _id: migrationId }, change, { session });
    },

    /** Ends a copy with the transaction: from then on no process writes for it. */
    async end({ session }: StoreTransaction, migrationId: string): Promise<void> {
      await copies.updateOne({ _id: migrationId }, { $set: { fence: endedFence } }, { session });
    },

    /**
     * Removes the checkpoint and ranges of a copy that no process writes any more. Its events stay.
     */
    async forget(migrationId: string, signal: AbortSignal): Promise<void> {
      await reading(copies.deleteOne({ _id: migrationId }, bounded), signal);
      await ranges.remove({ migrationId }, signal);
    },
  };
}

function isReached({ isScanned, after }: Checkpoint, place: EventPlace): boolean {
  return isScanned || comparePlaces(place, after) <= 0;
}

function newRange({ range, digest, events }: PlacedRange): NewRange {
  if (!isEndless(range)) return { ...range, digest };
  const end = events?.at(-1)?.place;
  return { ...range, digest, highest: digest.count === 0 ? range.after : end };
}
