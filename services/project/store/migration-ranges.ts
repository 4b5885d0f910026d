import type { Index } from '@silo/mongo/indexes.ts';
import { bounded, collectionOptions, readIn, reading } from '@silo/mongo/read.ts';
import { Binary, type Collection, type Db, ObjectId } from 'mongodb';
import { EventDigest } from '../rules/events/event-digest.ts';
import {
  comparePlaces,
  type EventPlace,
  type EventRange,
  endPlace,
  firstPlace,
} from '../rules/events/event-range.ts';
import { bytesOf } from './event-collection.ts';
import type { StoredPosition } from './event-queries.ts';
import { placeFrom, stepBounds, storedPlace } from './migration-events.ts';
import type { StoreTransaction } from './usage.ts';

const rangesName = 'migration_ranges';
/** A larger range is split, so that comparing it takes no longer than others. */
const splitAbove = { count: 4_000, bytes: 16 * 1024 * 1024 };
const readAtOnce = 64;
const changedAtOnce = 500;

/** A range of a copy, with the digest of the source's events according to all that was received. */
type RangeDocument = {
  _id: ObjectId;
  /** The scan of a migration to which the range belongs: each scan has its own ranges. */
  copy: string;
  after: StoredPosition;
  last: StoredPosition;
  /** Absent if the range must be read again. */
  digest?: { count: number; hash: Binary | Uint8Array };
  /** Approximate size of the source's documents; absent: not known. */
  bytes?: number;
  /**
   * Only for the range without an end: the last event that was ever in it, or its beginning; absent
   * if that is not known.
   */
  highest?: StoredPosition;
  /** The range was equal at least once since it was copied. */
  isVerified: boolean;
  /** Number of times that the range was copied again. */
  repairs: number;
};

export const migrationRangeIndexes: Readonly<Record<string, readonly Index[]>> = {
  [rangesName]: [{ key: { copy: 1, last: 1 } }, { key: { copy: 1, isVerified: 1, last: 1 } }],
};

/** A range for comparison and repair. */
export type CopiedRange = EventRange & {
  id: ObjectId;
  digest: EventDigest | undefined;
  /** Approximate size of the source's documents; undefined: not known. */
  bytes: number | undefined;
  repairs: number;
};

/** A range to be stored. */
export type NewRange = EventRange & {
  digest?: EventDigest | undefined;
  bytes?: number | undefined;
  highest?: EventPlace | undefined;
  isVerified?: boolean;
  repairs?: number;
};

/** A document that was removed from a copy, or added to it. */
export type CopiedChange = { document: Uint8Array; place: EventPlace; isAdded: boolean };

/** Whether a range must be split before it is compared. */
export function isLarge({ digest, bytes = 0 }: Pick<CopiedRange, 'digest' | 'bytes'>): boolean {
  if (digest === undefined) return false;
  return digest.count > splitAbove.count || (digest.count > 1 && bytes > splitAbove.bytes);
}

/** Stores the ranges of copies. */
export function createMigrationRanges(db: Db) {
  const ranges: Collection<RangeDocument> = db.collection(rangesName, collectionOptions);

  return {
    async insert(
      { session }: StoreTransaction,
      copy: string,
      added: readonly NewRange[],
    ): Promise<CopiedRange[]> {
      const documents = added.map((range) => documentOf(copy, range));
      await ranges.insertMany(documents, { session });
      return documents.map(rangeFrom);
    },

    /**
     * Removes a range that is to be replaced. Returns false if it does not exist any more, has
     * another end, or, if a digest is given, has another digest.
     */
    async take(
      { session }: StoreTransaction,
      { id, last, digest }: Pick<CopiedRange, 'id' | 'last'> & Partial<CopiedRange>,
    ): Promise<boolean> {
      const same = {
        ...{ _id: id, last: storedPlace(last) },
        ...(digest && { digest: storedDigest(digest) }),
      };
      return (await ranges.deleteOne(same, { session })).deletedCount === 1;
    },

    /** Updates the digests of the ranges that contain the removed and added documents. */
    async change(
      { session }: StoreTransaction,
      copy: string,
      changes: readonly CopiedChange[],
    ): Promise<void> {
      const sorted = [...changes].sort((a, b) => comparePlaces(a.place, b.place));
      const changed = new Map<RangeDocument, CopiedChange[]>();
      let near: RangeDocument[] = [];
      for (const change of sorted) {
        const isBefore = ({ last }: RangeDocument) =>
          comparePlaces(placeFrom(last), change.place) < 0;
        near = near.slice(near.findIndex((range) => !isBefore(range)));
        if (near[0] === undefined || isBefore(near[0])) {
          const filter = { copy, last: { $gte: storedPlace(change.place) } };
          const options = { session, sort: { last: 1 as const }, limit: readAtOnce };
          near = await ranges.find(filter, options).toArray();
        }
        const [range] = near;
        if (range === undefined) throw new Error('the changed event is outside of all ranges');
        const its = changed.get(range) ?? [];
        changed.set(range, its);
        its.push(change);
      }
      const replaced = [...changed].flatMap(([range, its]) =>
        changedRange(range, its).map((document) => ({
          replaceOne: { filter: { _id: document._id }, replacement: document, upsert: true },
        })),
      );
      if (replaced.length > 0) await ranges.bulkWrite(replaced, { session });
    },

    /** Returns ranges that are not verified yet, oldest first, up to a limit. */
    async unverified(
      { session }: StoreTransaction,
      copy: string,
      limit: number,
    ): Promise<CopiedRange[]> {
      const filter = { copy, isVerified: false };
      const options = { ...bounded, ...readIn(session), sort: { last: 1 as const }, limit };
      return (await ranges.find(filter, options).toArray()).map(rangeFrom);
    },

    async read({ session }: StoreTransaction, id: ObjectId): Promise<CopiedRange | undefined> {
      const range = await ranges.findOne({ _id: id }, { ...bounded, ...readIn(session) });
      return range === null ? undefined : rangeFrom(range);
    },

    /** Marks ranges as verified, unless they have grown too large since. */
    async verify(equal: readonly CopiedRange[], signal: AbortSignal): Promise<void> {
      const filter = {
        _id: { $in: equal.map(({ id }) => id) },
        'digest.count': { $lte: splitAbove.count },
        $nor: [{ 'digest.count': { $gt: 1 }, bytes: { $gt: splitAbove.bytes } }],
      };
      await reading(ranges.updateMany(filter, { $set: { isVerified: true } }, bounded), signal);
    },

    /** Lets ranges with this number of repairs be repaired again. */
    async forgiveRepairs(copy: string, repairs: number, signal: AbortSignal): Promise<void> {
      const filter = { copy, isVerified: false, repairs: { $gte: repairs } };
      // Not 0: a difference in a repaired range is never expected.
      await reading(ranges.updateMany(filter, { $set: { repairs: 1 } }, bounded), signal);
    },

    /** Marks all ranges of a scan to be compared again. */
    async unverify(copy: string, signal: AbortSignal): Promise<void> {
      // In order of their ends, because ranges that are already marked are compared again
      // meanwhile.
      const options = { ...bounded, sort: { last: 1 as const }, limit: changedAtOnce };
      for (let after = storedPlace(firstPlace); ; ) {
        const filter = { copy, isVerified: true, last: { $gt: after } };
        const found = await reading(ranges.find(filter, options).toArray(), signal);
        const last = found.at(-1);
        if (last === undefined) return;
        const _id = { $in: found.map((range) => range._id) };
        const doubted = { $set: { isVerified: false } };
        await reading(ranges.updateMany({ _id }, doubted, bounded), signal);
        after = storedPlace(placeFrom(last.last));
      }
    },

    async count(copy: string, which: 'all' | 'verified', signal: AbortSignal): Promise<number> {
      const filter = { copy, ...(which === 'verified' && { isVerified: true }) };
      return await reading(ranges.countDocuments(filter, bounded), signal);
    },

    /** Removes the ranges of one scan, or of all scans of a migration. */
    async remove(scans: { copy: string } | { migrationId: string }, signal: AbortSignal) {
      // The character after the slash of `<migration>/<scan>` is 0.
      const all = (id: string) => ({ $gte: `${id}/`, $lt: `${id}0` });
      const copy = 'copy' in scans ? scans.copy : all(scans.migrationId);
      const options = { ...bounded, projection: { _id: 1 }, limit: changedAtOnce };
      for (;;) {
        const found = await reading(ranges.find({ copy }, options).toArray(), signal);
        if (found.length === 0) return;
        const _id = { $in: found.map((range) => range._id) };
        await reading(ranges.deleteMany({ _id }, bounded), signal);
      }
    },
  };
}

/**
 * Returns a range after changes. The range without an end is cut after the last event that was ever
 * in it, if that is known: only new events follow.
 */
function changedRange(found: RangeDocument, changes: readonly CopiedChange[]): RangeDocument[] {
  // Binaries are read as plain bytes, and would be written with another subtype.
  const [after, last] = [storedPlace(placeFrom(found.after)), storedPlace(placeFrom(found.last))];
  const range = { ...found, after, last };
  const { digest } = rangeFrom(range);
  // A range that must be read again is counted then.
  if (digest === undefined) return [range];
  let highest = range.highest && placeFrom(range.highest);
  let { bytes } = range;
  for (const { document, place, isAdded } of changes) {
    if (isAdded) digest.add(document);
    else digest.remove(document);
    if (bytes !== undefined) bytes += isAdded ? document.length : -document.length;
    if (isAdded && highest && comparePlaces(place, highest) > 0) highest = place;
  }
  const isVerified = range.isVerified && !isLarge({ digest, bytes });
  const changed: RangeDocument = {
    ...{ ...range, digest: storedDigest(digest), isVerified },
    ...(bytes !== undefined && { bytes }),
    ...(highest && { highest: storedPlace(highest) }),
  };
  const isFull = digest.count >= stepBounds.countMax || (bytes ?? 0) >= stepBounds.bytesMax;
  if (highest === undefined || !isFull) return [changed];
  const { highest: _, ...cut } = { ...changed, last: storedPlace(highest) };
  const next = { after: highest, last: endPlace, digest: new EventDigest(), bytes: 0, highest };
  return [cut, documentOf(range.copy, { ...next, isVerified: range.isVerified })];
}

function documentOf(copy: string, range: NewRange): RangeDocument {
  const { after, last, digest, bytes, highest, isVerified = false, repairs = 0 } = range;
  return {
    ...{ _id: new ObjectId(), copy, after: storedPlace(after), last: storedPlace(last) },
    ...(digest && { digest: storedDigest(digest) }),
    ...(bytes !== undefined && { bytes }),
    ...(highest && { highest: storedPlace(highest) }),
    ...{ isVerified, repairs },
  };
}

function rangeFrom({ _id, after, last, digest, bytes, repairs }: RangeDocument): CopiedRange {
  return {
    ...{ id: _id, after: placeFrom(after), last: placeFrom(last), bytes, repairs },
    digest: digest && EventDigest.from({ count: digest.count, hash: bytesOf(digest.hash) }),
  };
}

function storedDigest({ count, hash }: EventDigest): NonNullable<RangeDocument['digest']> {
  return { count, hash: new Binary(hash) };
}
