import { setImmediate } from 'node:timers/promises';
import { pageBytesMax } from '@silo/mongo/page.ts';
import { bounded, collectionOptions, reading, throwIfKilled } from '@silo/mongo/read.ts';
import { Budget, takeWithin } from '@silo/runtime/budget.ts';
import {
  Binary,
  type Collection,
  type Db,
  type Filter,
  type FindCursor,
  type FindOptions,
} from 'mongodb';
import { type Deletion, isCovered } from '../rules/events/deletions.ts';
import { type CheckedFilter, equalities, isEverything, matches } from '../rules/events/filter.ts';
import { indexable, isExactlyIndexed } from '../rules/events/indexed-properties.ts';
import { uuidText } from '../rules/events/uuid.ts';
import {
  byDistinctId,
  byName,
  byTime,
  bytesOf,
  type CapturedEventDocument,
  collectionName,
  indexedValue,
  uuidBytes,
} from './event-collection.ts';
import { type NarrowRange, narrowRange } from './narrow-range.ts';
import { StoredEvent } from './stored-event.ts';

/**
 * Maximum number and bytes of events that one page scans, regardless of the size of the project.
 * @internal Exported for tests.
 */
export const scanBounds = { countMax: 5_000, bytesMax: 16 * 1024 * 1024 };
const readAtOnce = 500;
/** Limits of the events that are compared or hashed before yielding to the event loop. */
const turnBounds = { countMax: readAtOnce, bytesMax: 1024 * 1024 };

/** One query of events in the order of a page, with the index to use. */
export type EventQuery = {
  query: Filter<CapturedEventDocument>;
  hint: string;
  sort: Readonly<Record<string, 1 | -1>>;
};

/** A position in the order of a project's events. */
export type EventPosition = { time: Date; uuid: string };

/** A position as stored: with the UUID in bytes, as in events. */
export type StoredPosition = { time: Date; uuid: CapturedEventDocument['_id']['uuid'] };

/** Newest first, or oldest first. */
type Order = 'newest' | 'oldest';

/** The page to read: where it begins, its maximum number of events, and the open deletions. */
export type PageWanted = {
  deletions: readonly Deletion[];
  after: EventPosition | undefined;
  size: number;
};

/** A page of events, and where the next page begins; undefined if it is the last. */
export type EventPage = { events: StoredEvent[]; next: EventPosition | undefined };

/** Reads captured events. Every method reads the events of one project. */
export type EventQueries = ReturnType<typeof createEventQueries>;

export function createEventQueries(db: Db) {
  const events: Collection<CapturedEventDocument> = db.collection(
    collectionName,
    collectionOptions,
  );

  return {
    /**
     * Returns a page of the events that match and are not deleted, in the given order, from a
     * position.
     */
    async query(
      projectId: string,
      filter: CheckedFilter,
      { deletions, after, size, order = 'newest' }: PageWanted & { order?: Order },
      signal: AbortSignal,
    ): Promise<EventPage> {
      const rest = unindexed(filter);
      const comparesNone = isEverything(rest) && deletions.length === 0;
      const page = new Budget({ countMax: size, bytesMax: pageBytesMax });
      const found: StoredEvent[] = [];
      const take = (event: StoredEvent) => {
        if (found.length === size) return false;
        if (!matches(rest, event) || isCovered(deletions, event)) return true;
        if (!page.take(event.sizeBytes)) return false;
        found.push(event);
        return true;
      };
      // One event more than the page shows whether another page follows.
      const wanted = { batchSize: size + 1, ...(comparesNone && { limit: size + 1 }) };
      const narrow = await narrowFor(events, projectId, filter, signal);
      const queries = eventQueries(projectId, filter, after, { order, narrow });
      const next = await reading(scan(openCursors(events, queries, wanted), take), signal);
      return { events: found, next };
    },
  };
}

/**
 * Finds a range by which `eventQueries` reads few events, if no other part of the filter has an
 * index.
 */
export async function narrowFor(
  events: Collection<CapturedEventDocument>,
  projectId: string,
  filter: CheckedFilter,
  signal: AbortSignal,
): Promise<NarrowRange | undefined> {
  if (indexFor(filter).hint !== byTime) return undefined;
  return await reading(narrowRange(events, projectId, filter), signal);
}

/** Opens cursors of the queries, each limited to what a scan reads. */
export function openCursors(
  events: Collection<CapturedEventDocument>,
  queries: readonly EventQuery[],
  options: Pick<FindOptions, 'session' | 'batchSize' | 'limit'> = {},
): FindCursor<Uint8Array>[] {
  const { batchSize = readAtOnce, limit = scanBounds.countMax + 1, session } = options;
  return queries.map(({ query, hint, sort }) =>
    events.find<Uint8Array>(query, {
      ...{ ...bounded, session, hint, sort, limit },
      batchSize: Math.min(batchSize, readAtOnce),
      raw: true,
    }),
  );
}

/** A position as stored, also for queries. */
export function storedPosition({ time, uuid }: EventPosition): StoredPosition {
  return { time, uuid: new Binary(uuidBytes(uuid), Binary.SUBTYPE_UUID) };
}

/** Converts a stored position. */
export function positionOf({ time, uuid }: StoredPosition): EventPosition {
  return { time, uuid: uuidText(bytesOf(uuid)) };
}

/**
 * The queries that find candidates, one after the other in the order of a page. Each uses an index
 * in that order, and all conditions that the index can decide; the process checks the others. User
 * texts are only used as values.
 */
export function eventQueries(
  projectId: string,
  filter: CheckedFilter,
  after: EventPosition | undefined,
  { order = 'newest', narrow }: { order?: Order; narrow?: NarrowRange | undefined } = {},
): EventQuery[] {
  const { hint, equal } = indexFor(filter, narrow);
  const { startTime, endTime } = filter;
  const range = {
    ...(startTime !== undefined && { $gte: startTime }),
    ...(endTime !== undefined && { $lt: endTime }),
  };
  const within = (...others: Filter<CapturedEventDocument>[]) => ({
    '_id.project': projectId,
    $and: [equal, ...others],
  });
  const timed = Object.keys(range).length > 0 ? { time: range } : {};
  // An index can be read in both directions.
  const [direction, beyond] = order === 'newest' ? ([-1, '$lt'] as const) : ([1, '$gt'] as const);
  const sort = { time: direction, '_id.uuid': direction };
  if (after === undefined) return [{ query: within(timed), hint, sort }];
  const uuid = new Binary(uuidBytes(after.uuid), Binary.SUBTYPE_UUID);
  // As one query with `$or`, the planner might read all earlier pages.
  const sameTime = within({ time: { $eq: after.time } }, timed, { '_id.uuid': { [beyond]: uuid } });
  const others = within({ time: { [beyond]: after.time } }, timed);
  return [
    // With the time in the sort, MongoDB would sort several values of the index in memory.
    { query: sameTime, hint, sort: { '_id.uuid': direction } },
    { query: others, hint, sort },
  ];
}

/** The part of the filter that the index does not decide. The process checks it. */
function unindexed(filter: CheckedFilter): CheckedFilter {
  return { ...filter, ...indexFor(filter).decided, startTime: undefined, endTime: undefined };
}

/**
 * Chooses the index that probably finds the fewest events, with its conditions and the part of the
 * filter that they decide. The choice depends only on the filter and the result of `narrowFor`.
 */
function indexFor(
  { distinctId, names, conditions, places }: CheckedFilter,
  narrow?: NarrowRange,
): {
  hint: string;
  equal: Filter<CapturedEventDocument>;
  decided: Partial<CheckedFilter>;
} {
  if (distinctId !== undefined) {
    const equal = { distinctId: { $eq: distinctId } };
    return { hint: byDistinctId, equal, decided: { distinctId: undefined } };
  }
  for (const condition of conditions) {
    const { name, operator, operands } = condition;
    const place = places.get(name);
    if (place === undefined || !equalities.has(operator)) continue;
    const values = operands.map(({ value }) => indexedValue(indexable(value)));
    const equal = { [`x${place}`]: { $in: values } };
    const isDecided = operands.every(({ value }) => isExactlyIndexed(value));
    const others = conditions.filter((each) => each !== condition || !isDecided);
    return { hint: `by_x${place}`, equal, decided: { conditions: others } };
  }
  if (names.length > 0) {
    return { hint: byName, equal: { name: { $in: names } }, decided: { names: [] } };
  }
  if (narrow !== undefined) {
    return { hint: `by_x${narrow.place}`, equal: { $and: narrow.within }, decided: {} };
  }
  return { hint: byTime, equal: {}, decided: {} };
}

/**
 * Passes the events of the queries on, one after the other, until one is not taken, the limits of
 * the scan are reached, or none is left. Returns the position of the last taken one; undefined if
 * none is left.
 */
export async function scan(
  cursors: readonly FindCursor<Uint8Array>[],
  take: (event: StoredEvent) => boolean,
): Promise<EventPosition | undefined> {
  const budget = new Budget(scanBounds);
  let last: StoredEvent | undefined;
  for (const cursor of cursors) {
    for await (const documents of batchesOf(cursor)) {
      for (const document of documents) {
        const event = new StoredEvent(document);
        if (!budget.take(event.sizeBytes) || !take(event)) return last && placeOf(last);
        last = event;
      }
    }
  }
  return undefined;
}

/** The position of an event in the order of its project. */
export function placeOf({ time, uuid }: EventPosition): EventPosition {
  return { time, uuid };
}

/**
 * The documents of a cursor in the batches in which they arrive: awaiting each document takes
 * longer than reading it. A reply of MongoDB may have 16 MiB: yields to the event loop in between.
 */
export async function* batchesOf(cursor: FindCursor<Uint8Array>): AsyncGenerator<Uint8Array[]> {
  try {
    while (await cursor.hasNext()) {
      let left = cursor.readBufferedDocuments();
      for (;;) {
        const some = takeWithin(left, turnBounds, ({ length }) => length);
        yield some;
        left = left.slice(some.length);
        if (left.length === 0) break;
        await setImmediate();
      }
    }
    throwIfKilled(cursor);
  } finally {
    await cursor.close();
  }
}
