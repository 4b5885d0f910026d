import { reading } from '@silo/mongo/read.ts';
import type { Db } from 'mongodb';
import { EventDigest } from '../rules/events/event-digest.ts';
import { type EventPlace, type EventRange, isEndless } from '../rules/events/event-range.ts';
import { type Checkpoint, copyOf } from './copy-checkpoint.ts';
import { eventsOf, placeOf, rangeOf } from './migration-events.ts';
import {
  type CopiedRange,
  createMigrationRanges,
  isLarge,
  type NewRange,
} from './migration-ranges.ts';
import type { StoreTransaction } from './usage.ts';

/** If a range has more than this and twice the source's bytes, it differs. */
const readBytesMin = 32 * 1024 * 1024;

/** A part of a compared range; `end` is the place of its last event. */
type Part = EventRange & { digest: EventDigest; bytes: number; end: EventPlace };

/** The result of the comparison of some ranges. */
export type Compared = {
  equal: CopiedRange[];
  different: CopiedRange[];
  /** Not compared yet, because they must be split. */
  large: CopiedRange[];
};

/** Compares what a copy has stored with what the source has sent, without contacting the source. */
export type MigrationComparison = ReturnType<typeof createMigrationComparison>;

export function createMigrationComparison(db: Db) {
  const events = eventsOf(db);
  const ranges = createMigrationRanges(db);

  /** Runs reads in one snapshot of durable data. */
  const inSnapshot = async <T>(
    read: (tx: StoreTransaction) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T> => {
    const session = db.client.startSession({ snapshot: true });
    const reads = read({ session }).finally(() => session.endSession());
    return await reading(reads, signal);
  };

  /**
   * Divides the stored events of a range into parts, each at most as large as a scanned range.
   * Stops as soon as there are more events, or far more bytes, than expected, as there may be the
   * project's whole past.
   */
  const partsOf = async (
    tx: StoreTransaction,
    projectId: string,
    { digest, bytes: expected = Number.POSITIVE_INFINITY, ...range }: CopiedRange,
    signal: AbortSignal,
  ): Promise<Part[]> => {
    const parts: Part[] = [];
    if (digest === undefined) return parts;
    let { after } = range;
    const limit = digest.count + 1;
    let left = Math.max(2 * expected, readBytesMin);
    for await (const batch of rangeOf(events, projectId, range, tx, { limit })) {
      signal.throwIfAborted();
      const last = batch.at(-1);
      if (last === undefined) continue;
      const end = placeOf(last);
      const bytes = batch.reduce((sum, { length }) => sum + length, 0);
      parts.push({ after, last: end, digest: EventDigest.of(batch), bytes, end });
      after = end;
      left -= bytes;
      if (left < 0) break;
    }
    const final = parts.at(-1);
    if (final) final.last = range.last;
    return parts;
  };

  return {
    /**
     * Compares ranges that are not verified yet, up to a limit, and marks the equal ones as
     * verified.
     */
    async compareSome(
      checkpoint: Checkpoint,
      limit: number,
      signal: AbortSignal,
    ): Promise<Compared> {
      const compared: Compared = { equal: [], different: [], large: [] };
      const compare = async (tx: StoreTransaction) => {
        for (const range of await ranges.unverified(tx, copyOf(checkpoint), limit)) {
          if (isLarge(range)) {
            compared.large.push(range);
            continue;
          }
          const parts = await partsOf(tx, checkpoint.projectId, range, signal);
          const isEqual = range.digest?.equals(totalOf(parts)) ?? false;
          compared[isEqual ? 'equal' : 'different'].push(range);
        }
      };
      await inSnapshot(compare, signal);
      if (compared.equal.length > 0) await ranges.verify(compared.equal, signal);
      return compared;
    },

    /** Compares a large range. Returns the parts that replace it if it is equal. */
    async compareLarge(
      { projectId }: Checkpoint,
      { id }: CopiedRange,
      signal: AbortSignal,
    ): Promise<{ range: CopiedRange; parts: NewRange[] | undefined } | undefined> {
      const read = async (tx: StoreTransaction) => {
        // Read again in this snapshot: the range may have changed since it was found to be large.
        const range = await ranges.read(tx, id);
        return range && { range, parts: await partsOf(tx, projectId, range, signal) };
      };
      const found = await inSnapshot(read, signal);
      if (found === undefined) return undefined;
      const { range, parts } = found;
      if (!range.digest?.equals(totalOf(parts))) return { range, parts: undefined };
      // The range is no longer large: all of its events were removed since.
      if (parts.length === 0) return undefined;
      const equal = parts.map(({ end, ...part }) => ({
        ...{ ...part, isVerified: true },
        // Only for the range without an end: a change would cut any other range there.
        ...(isEndless(part) && { highest: end }),
      }));
      return { range, parts: equal };
    },

    /** Lets ranges with this number of repairs be repaired again: staff may retry the copy. */
    async forgiveRepairs(
      checkpoint: Checkpoint,
      repairs: number,
      signal: AbortSignal,
    ): Promise<void> {
      await ranges.forgiveRepairs(copyOf(checkpoint), repairs, signal);
    },

    /** Marks every range to be compared again. */
    async unverify(checkpoint: Checkpoint, signal: AbortSignal): Promise<void> {
      await ranges.unverify(copyOf(checkpoint), signal);
    },

    /** Number of ranges that were equal at least once since they were copied. */
    async countVerified(checkpoint: Checkpoint, signal: AbortSignal): Promise<number> {
      // If they are being compared again, all of them were equal before.
      const { comparesAgain = false } = checkpoint;
      return await ranges.count(copyOf(checkpoint), comparesAgain ? 'all' : 'verified', signal);
    },
  };
}

function totalOf(parts: readonly { digest: EventDigest }[]): EventDigest {
  const total = new EventDigest();
  for (const { digest } of parts) total.include(digest);
  return total;
}
