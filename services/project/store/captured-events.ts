import { errors } from '@silo/errors/errors.ts';
import { fromMongo } from '@silo/mongo/from-mongo.ts';
import type { Index } from '@silo/mongo/indexes.ts';
import { pageBytesMax } from '@silo/mongo/page.ts';
import { bounded, collectionOptions, reading } from '@silo/mongo/read.ts';
import { PropertyOperator } from '@silo/protos/gen/silo/project/v1/event.ts';
import { Budget } from '@silo/runtime/budget.ts';
import { Binary, BSON, type Collection, type Db, type Document, type Filter } from 'mongodb';
import type { CheckedEvent } from '../rules/events/check-event.ts';
import { type CheckedFilter, matches } from '../rules/events/filter.ts';
import { indexable, indexedProperties, type Scalar } from '../rules/events/indexed-properties.ts';
import { uuidText } from '../rules/events/uuid.ts';

const collectionName = 'captured_events';
const duplicateKey = 11000;
/** How many events one page looks at, whatever their number in the project, and how many bytes. */
export const scanBounds = { countMax: 5_000, bytesMax: 16 * 1024 * 1024 };
const readAtOnce = 500;
/** A larger deletion delays the inserts of others. */
const deletedAtOnce = 500;

/** An event as it is stored (docs/decisions/020-how-events-are-stored.md). */
export type CapturedEventDocument = {
  /** Where the same event would be stored again: the primary key keeps it from being there twice. */
  _id: { project: string; uuid: Binary | Uint8Array };
  /** By the millisecond: what queries sort and compare. */
  time: Date;
  name: string;
  distinctId: string;
  receiveTime: Date;
  /** The time as it was sent; absent where it reads as `time` does. */
  timestamp?: string;
  /** The text of a JSON object, which the database never looks into. */
  properties: Binary | Uint8Array;
  /** Indexed properties, by their place; absent where the event has none, or no scalar. */
  x0?: IndexedValue;
  x1?: IndexedValue;
};

/** A null is an empty binary: a query of null would find documents without the field, too. */
type IndexedValue = string | number | boolean | Binary | Uint8Array;

/** A stored event as it is answered. */
type StoredEvent = {
  uuid: string;
  name: string;
  distinctId: string;
  time: Date;
  timestamp: string;
  receiveTime: Date;
  properties: string;
};

/** A place in the order of the events of a project. */
export type EventPosition = { time: Date; uuid: string };

/** A page of events, and where the next one begins; undefined: there is none. */
export type EventPage = { events: StoredEvent[]; next: EventPosition | undefined };

const newestFirst = { time: -1, '_id.uuid': -1 } as const;
const byTime = 'by_time';
const byName = 'by_name';
const byDistinctId = 'by_distinct_id';

/** Each begins with the project. A TTL index knows no projects. */
export const capturedEventIndexes: Readonly<Record<string, readonly Index[]>> = {
  [collectionName]: [
    { key: { '_id.project': 1, ...newestFirst }, name: byTime },
    { key: { '_id.project': 1, name: 1, ...newestFirst }, name: byName },
    { key: { '_id.project': 1, distinctId: 1, ...newestFirst }, name: byDistinctId },
    ...indexedProperties.map((_, place) => ({
      key: { '_id.project': 1, [`x${place}`]: 1, ...newestFirst },
      name: `by_x${place}`,
      partialFilterExpression: { [`x${place}`]: { $exists: true } },
    })),
  ],
};

/** The events of all projects. Every method acts on one project's alone. */
export type CapturedEventStore = ReturnType<typeof createCapturedEventStore>;

export function createCapturedEventStore(db: Db) {
  const events: Collection<CapturedEventDocument> = db.collection(
    collectionName,
    collectionOptions,
  );

  return {
    /**
     * Stores events of a project, durably on a majority. Answers for each whether it was there
     * already. By a plain command, which the driver does not repeat: the caller's permit may be over
     * by then. The server gives up after `maxTimeMs`; after any failure some may be stored.
     */
    async insert(
      projectId: string,
      captured: readonly CheckedEvent[],
      { receiveTime, maxTimeMs }: { receiveTime: Date; maxTimeMs: number },
      signal: AbortSignal,
    ): Promise<boolean[]> {
      const inserted = db.command({
        insert: collectionName,
        documents: captured.map((event) => documentOf(projectId, event, receiveTime)),
        ordered: false,
        maxTimeMS: maxTimeMs,
        writeConcern: { w: 'majority', j: true },
      });
      return duplicatesIn(await reading(inserted, signal), captured.length);
    },

    /** A page of the events that match, newest first, from a place on. */
    async query(
      projectId: string,
      filter: CheckedFilter,
      { after, size }: { after: EventPosition | undefined; size: number },
      signal: AbortSignal,
    ): Promise<EventPage> {
      const cursors = eventQueries(projectId, filter, after).map(({ query, hint }) =>
        events.find(query, {
          ...bounded,
          hint,
          sort: newestFirst,
          limit: scanBounds.countMax + 1,
          batchSize: Math.min(size + 1, readAtOnce),
        }),
      );
      return await reading(readEvents(cursors, filter, size), signal);
    },

    /** Removes all events of a project. */
    async purge(projectId: string, signal: AbortSignal): Promise<void> {
      const options = { ...bounded, hint: byTime, projection: { _id: 1 }, limit: deletedAtOnce };
      for (;;) {
        signal.throwIfAborted();
        const found = await reading(
          events.find({ '_id.project': projectId }, options).toArray(),
          signal,
        );
        if (found.length === 0) return;
        const ids = found.map(({ _id }) => keyOf(_id.project, bytesOf(_id.uuid)));
        await reading(events.deleteMany({ _id: { $in: ids } }, bounded), signal);
      }
    },
  };
}

function keyOf(project: string, uuid: Uint8Array): CapturedEventDocument['_id'] {
  return { project, uuid: new Binary(uuid, Binary.SUBTYPE_UUID) };
}

function uuidBytes(uuid: string): Buffer {
  return Buffer.from(uuid.replaceAll('-', ''), 'hex');
}

function bytesOf(binary: Binary | Uint8Array): Uint8Array {
  return binary instanceof Binary ? binary.buffer : binary;
}

function documentOf(
  projectId: string,
  { uuid, time, name, distinctId, timestamp, properties, indexed }: CheckedEvent,
  receiveTime: Date,
): CapturedEventDocument {
  const document: CapturedEventDocument & Document = {
    _id: keyOf(projectId, uuidBytes(uuid)),
    ...{ time, name, distinctId, receiveTime },
    properties: Buffer.from(properties),
  };
  if (timestamp !== time.toISOString()) document.timestamp = timestamp;
  indexed.forEach((value, place) => {
    if (value !== undefined) document[`x${place}`] = indexedValue(value);
  });
  return document;
}

function indexedValue(value: Scalar): IndexedValue {
  return value === null ? new Binary(Buffer.alloc(0)) : value;
}

function storedEvent(document: CapturedEventDocument): StoredEvent {
  const { _id, time, name, distinctId, receiveTime, timestamp, properties } = document;
  return {
    uuid: uuidText(bytesOf(_id.uuid)),
    ...{ name, distinctId, time, receiveTime },
    timestamp: timestamp ?? time.toISOString(),
    properties: Buffer.from(bytesOf(properties)).toString('utf8'),
  };
}

/** Which of so many inserted documents were there already, by the server's answer. */
function duplicatesIn(answer: Document, count: number): boolean[] {
  const { n, writeErrors = [], writeConcernError } = answer;
  const isDuplicate: boolean[] = Array(count).fill(false);
  let duplicates = 0;
  for (const { index, code } of writeErrors as { index: number; code: number }[]) {
    if (code !== duplicateKey) throw errors.dependencyUnavailable('mongodb', new Error(`${code}`));
    isDuplicate[index] = true;
    duplicates++;
  }
  if (writeConcernError) {
    throw errors.dependencyUnavailable('mongodb', new Error(String(writeConcernError.codeName)));
  }
  // The server may leave documents out of its errors (mongod 6.0 does): the number counts.
  if (n + duplicates !== count) {
    throw fromMongo(new Error(`${n} of ${count} events are stored, ${duplicates} were there`));
  }
  return isDuplicate;
}

/**
 * The queries that find what may match, one after the other in the order of a page. Each names its
 * index, whose order is that of the page, and all that the index can say of the filter; the rest is
 * compared when it is read. Texts of the filter stand only where values do.
 */
export function eventQueries(
  projectId: string,
  filter: CheckedFilter,
  after: EventPosition | undefined,
): { query: Filter<CapturedEventDocument>; hint: string }[] {
  const { hint, equal } = indexFor(filter);
  const { startTime, endTime } = filter;
  const range = {
    ...(startTime !== undefined && { $gte: startTime }),
    ...(endTime !== undefined && { $lt: endTime }),
  };
  const within = (time: object) => ({ '_id.project': projectId, ...equal, ...time });
  const timed = Object.keys(range).length > 0 ? { time: range } : {};
  if (after === undefined) return [{ query: within(timed), hint }];
  const uuid = new Binary(uuidBytes(after.uuid), Binary.SUBTYPE_UUID);
  // As one query with `$or` the planner may read all that is newer.
  const sameTime = { $and: [{ time: { $eq: after.time } }, timed], '_id.uuid': { $lt: uuid } };
  const older = { $and: [{ time: { $lt: after.time } }, timed] };
  return [sameTime, older].map((time) => ({ query: within(time), hint }));
}

/** The index that probably leads to the fewest events: the filter alone decides. */
function indexFor({ distinctId, names, conditions }: CheckedFilter): {
  hint: string;
  equal: Filter<CapturedEventDocument>;
} {
  if (distinctId !== undefined) {
    return { hint: byDistinctId, equal: { distinctId: { $eq: distinctId } } };
  }
  for (const { name, operator, operands } of conditions) {
    const place = (indexedProperties as readonly string[]).indexOf(name);
    if (place < 0 || !equalities.has(operator)) continue;
    const values = operands.map(({ value }) => indexedValue(indexable(value)));
    return { hint: `by_x${place}`, equal: { [`x${place}`]: { $in: values } } };
  }
  if (names.length > 0) return { hint: byName, equal: { name: { $in: names } } };
  return { hint: byTime, equal: {} };
}

const equalities = new Set<PropertyOperator>([
  PropertyOperator.PROPERTY_OPERATOR_EQUAL,
  PropertyOperator.PROPERTY_OPERATOR_IN,
]);

/** Reads until the page is full, the bounds of the scan are reached, or nothing is left. */
async function readEvents(
  cursors: readonly AsyncIterable<CapturedEventDocument>[],
  filter: CheckedFilter,
  size: number,
): Promise<EventPage> {
  const page = new Budget({ countMax: size, bytesMax: pageBytesMax });
  const scan = new Budget(scanBounds);
  const events: StoredEvent[] = [];
  let last: EventPosition | undefined;
  for (const cursor of cursors) {
    for await (const document of cursor) {
      const sizeBytes = BSON.calculateObjectSize(document);
      if (events.length === size || !scan.take(sizeBytes)) return { events, next: last };
      const event = storedEvent(document);
      if (matches(filter, event)) {
        if (!page.take(sizeBytes)) return { events, next: last };
        events.push(event);
      }
      last = { time: event.time, uuid: event.uuid };
    }
  }
  return { events, next: undefined };
}
