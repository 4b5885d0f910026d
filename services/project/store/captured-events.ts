import { errors } from '@silo/errors/errors.ts';
import { fromMongo } from '@silo/mongo/from-mongo.ts';
import type { Index } from '@silo/mongo/indexes.ts';
import { bounded, collectionOptions, reading } from '@silo/mongo/read.ts';
import { Binary, type Collection, type Db, type Document } from 'mongodb';
import type { CheckedEvent } from '../rules/events/check-event.ts';
import { indexedProperties, type Scalar } from '../rules/events/indexed-properties.ts';

/** The collection of all captured events. */
export const collectionName = 'captured_events';
const duplicateKey = 11000;
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

/** The order of a page: that of every index. */
export const newestFirst = { time: -1, '_id.uuid': -1 } as const;
/** The indexes by their names, which every query gives; `by_x0` and so on are those of places. */
export const byTime = 'by_time';
export const byName = 'by_name';
export const byDistinctId = 'by_distinct_id';

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

/** Writes captured events; `event-queries.ts` reads them. Every method acts on one project's. */
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

/** The 16 bytes of a UUID in its usual form. */
export function uuidBytes(uuid: string): Buffer {
  return Buffer.from(uuid.replaceAll('-', ''), 'hex');
}

/** The bytes of a binary, as it is written or read. */
export function bytesOf(binary: Binary | Uint8Array): Uint8Array {
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

/** An indexed property as it is stored, and so sought. */
export function indexedValue(value: Scalar): IndexedValue {
  return value === null ? new Binary(Buffer.alloc(0)) : value;
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
