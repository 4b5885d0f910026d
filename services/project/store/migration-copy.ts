import { readLinearizable } from '@silo/mongo/linearizable.ts';
import { bounded, collectionOptions, reading } from '@silo/mongo/read.ts';
import { Binary, type Collection, type Db } from 'mongodb';
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
import { type Comparable, createCopiedEvents, type EventBytes, isAlike } from './copied-events.ts';
import { type Checkpoint, type CopyDocument, checkpointOf, copyOf } from './copy-checkpoint.ts';
import { CopyAhead, createCopySteps } from './copy-steps.ts';
import { stepBounds, storedPlace } from './migration-events.ts';
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

/** One transaction cannot remove all events that must be removed. */
class TooLarge extends Error {
  override readonly name = 'TooLarge';
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

  const { step, thin, changeRanges } = createCopySteps(db, { copies, ranges, events });

  /** Makes the events of a range equal to what the source has sent, and stores the range. */
  const storeEqual = async (
    tx: StoreTransaction,
    next: Checkpoint,
    placed: PlacedRange,
  ): Promise<void> => {
    const { range, digest, repairs } = placed;
    const { projectId } = next;
    const all = comparableOf(placed);
    const { removed, added, isWhole } = await events.differences(tx, projectId, all);
    if (!isWhole) throw new CopyAhead('the events of the range have changed');
    await events.remove(tx, removed);
    await events.insert(tx, projectId, added);
    const isElsewhere = ({ place }: EventBytes) =>
      !isWithin(range, place) && isReached(next, place);
    const elsewhere = removed.filter(isElsewhere);
    // An event that was moved while the source read the range may occur twice: the later one is
    // newer.
    const last = new Map(all.sent.map((event) => [event.key, event]));
    const sent = all.sent.filter((event) => last.get(event.key) === event);
    const isOnce = sent.length === all.sent.length;
    const whole = isOnce ? digest : EventDigest.of(sent.map(({ document }) => document));
    const stored = { ...newRange({ range, digest: whole, events: sent }), repairs };
    await ranges.insert(tx, copyOf(next), [stored]);
    await changeRanges(tx, next, elsewhere, []);
  };

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
      try {
        const update = scannedUpdate(placed, resumeToken);
        return await step(checkpoint, update, signal, async (tx, next) => {
          for (const { events: all = [] } of placed) await events.insert(tx, next.projectId, all);
          await ranges.insert(tx, copyOf(next), placed.map(newRange));
        });
      } catch (error) {
        if (!(error instanceof AlreadyThere)) throw error;
      }
      // One by one, because the stored events may be large.
      let next = checkpoint;
      for (const each of placed) {
        const counts = (place: EventPlace) => isReached(next, place);
        const thinned = await thin(next, comparableOf(each), signal, { counts });
        const token = each === placed.at(-1) ? resumeToken : checkpoint.resumeToken;
        const update = scannedUpdate([each], token);
        next = await step(thinned.checkpoint, update, signal, (tx, now) =>
          storeEqual(tx, now, each),
        );
      }
      return next;
    },

    /**
     * Makes changed events equal to what the source has sent, and replaces only events that differ.
     * If one transaction cannot remove all of them, removes the first ones before. Then an
     * interruption may leave the former resume token, and the changes are applied again.
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
      const counts = (place: EventPlace) => isReached(checkpoint, place);
      const absentMax = stepBounds.countMax;
      const changed = { uuids, sent, isReached: counts, absentMax };
      const apply = (from: Checkpoint) =>
        step(from, update, signal, async (tx, next) => {
          const { projectId } = next;
          const { removed, added, isWhole } = await events.differences(tx, projectId, changed);
          if (!isWhole) throw new TooLarge('the changes are too large for one transaction');
          await events.remove(tx, removed);
          await events.insert(tx, projectId, added);
          await events.requireStored(tx, projectId, added);
          const counted = removed.filter(({ place }) => counts(place));
          await changeRanges(tx, next, counted, added);
        });
      try {
        return await apply(checkpoint);
      } catch (error) {
        if (!(error instanceof TooLarge)) throw error;
      }
      return await apply((await thin(checkpoint, changed, signal, { counts })).checkpoint);
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
     * Makes the beginning of a range equal to the source's, and returns the rest of the range.
     * Counts the range as repaired unless a difference was expected. `isThin` is false if so many
     * events are to be removed that changes must be applied before the rest. Rejects if `mayRemove`
     * does, which is not called for events that differ only in the values of chosen properties.
     */
    async repair(
      checkpoint: Checkpoint,
      { range, isExpected, mayRemove }: Differing,
      { last, digest, events: sent = [] }: SentRange,
      signal: AbortSignal,
    ): Promise<{ checkpoint: Checkpoint; isThin: boolean; rest: CopiedRange | undefined }> {
      const repaired = { range: { after: range.after, last }, digest, events: sent };
      const sentByKey = new Map(sent.map((event) => [event.key, event]));
      const thinned = await thin(checkpoint, comparableOf(repaired), signal, {
        removalsMax,
        // This range is counted when it is whole again.
        counts: (place) => !isWithin(range, place) && isReached(checkpoint, place),
        mayRemove: ({ removed }) =>
          mayRemove(removed.filter((event) => !isAlike(event, sentByKey.get(event.key)))),
      });
      if (!thinned.isThin) return { ...thinned, rest: undefined };
      const isWhole = comparePlaces(last, range.last) >= 0;
      const rangesRepaired = isWhole && !isExpected ? 1 : 0;
      const update = { $inc: { bytesCopied: bytesIn(sent), rangesRepaired } };
      let rest: CopiedRange | undefined;
      const next = await step(thinned.checkpoint, update, signal, async (tx, now) => {
        const isThere = await ranges.take(tx, { id: range.id, last: range.last });
        if (!isThere) throw new CopyAhead('the range was replaced');
        const { repairs } = range;
        if (!isWhole) {
          const left = { after: last, last: range.last, repairs };
          [rest] = await ranges.insert(tx, copyOf(now), [left]);
        }
        await storeEqual(tx, now, { ...repaired, repairs: repairs + 1 });
      });
      return { checkpoint: next, isThin: true, rest };
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

/** The progress of a scan after these ranges. */
function scannedUpdate(placed: readonly PlacedRange[], resumeToken: Uint8Array) {
  const last = placed.at(-1)?.range.last ?? firstPlace;
  const isScanned = isEndless({ last });
  const eventsCopied = placed.reduce((sum, { digest }) => sum + digest.count, 0);
  const bytesCopied = placed.reduce((sum, { events = [] }) => sum + bytesIn(events), 0);
  return {
    $set: { after: storedPlace(last), isScanned, resumeToken: new Binary(resumeToken) },
    $inc: { eventsCopied, bytesCopied },
  };
}

/** The stored events to compare with a range that the source has sent. */
function comparableOf({ range, events: sent }: PlacedRange): Comparable {
  if (sent === undefined) throw new TypeError('the range has no events');
  return { range, sent, isReached: () => true, absentMax: removedAtOnce };
}

function newRange({ range, digest, events, bytesRead }: PlacedRange): NewRange {
  const stored = { ...range, digest, bytes: bytesRead ?? (events && bytesIn(events)) };
  if (!isEndless(range)) return stored;
  const end = events?.at(-1)?.place;
  return { ...stored, highest: digest.count === 0 ? range.after : end };
}
