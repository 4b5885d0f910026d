import type { Index } from '@silo/mongo/indexes.ts';
import { Binary } from 'mongodb';
import type { CheckedEvent } from '../rules/events/check-event.ts';
import { alwaysIndexed, type Scalar } from '../rules/events/indexed-properties.ts';

/** The collection of all captured events. */
export const collectionName = 'captured_events';

/** An event as stored (docs/decisions/020-how-events-are-stored.md). */
export type CapturedEventDocument = {
  /** The primary key, which prevents duplicates of an event. */
  _id: { project: string; uuid: Binary | Uint8Array };
  /** In milliseconds, for queries and sorting. */
  time: Date;
  name: string;
  distinctId: string;
  receiveTime: Date;
  /** The time as sent; absent if it is equal to `time` as text. */
  timestamp?: string;
  /** The text of a JSON object, which the database does not interpret. */
  properties: Binary | Uint8Array;
  /** Number of deletions of the project's events before the capture; absent: none. */
  generation?: number;
  /**
   * Indexed properties by place; absent if the event has no such property, or its value is not a
   * scalar.
   */
  [place: `x${number}`]: IndexedValue;
};

/**
 * A null is stored as an empty binary: a query of null would also find documents without the field.
 */
type IndexedValue = string | number | boolean | Binary | Uint8Array;

/** The order of pages, and of every index. */
const newestFirst = { time: -1, '_id.uuid': -1 } as const;
/** Names of indexes, which every query uses as hint; `by_x0` and so on are those of places. */
export const byTime = 'by_time';
export const byName = 'by_name';
export const byDistinctId = 'by_distinct_id';

/** Every index begins with the project. A TTL index could not distinguish projects. */
export const capturedEventIndexes: Readonly<Record<string, readonly Index[]>> = {
  [collectionName]: [
    { key: { '_id.project': 1, ...newestFirst }, name: byTime },
    { key: { '_id.project': 1, name: 1, ...newestFirst }, name: byName },
    { key: { '_id.project': 1, distinctId: 1, ...newestFirst }, name: byDistinctId },
    ...Array.from(alwaysIndexed.values(), placeIndex),
  ],
};

/** The index of the events that have a value at a place. */
export function placeIndex(place: number): Index {
  return {
    key: { '_id.project': 1, [`x${place}`]: 1, ...newestFirst },
    name: `by_x${place}`,
    partialFilterExpression: { [`x${place}`]: { $exists: true } },
  };
}

/** The events of one capture, with the project and owner of the token's permit. */
export type EventBatch = {
  projectId: string;
  organizationId: string;
  receiveTime: Date;
  /** From the project's fact: number of deletions of its events. */
  generation: number;
  events: readonly CheckedEvent[];
};

/** An id for use in a filter: MongoDB returns its UUID as plain bytes. */
export function idOf({
  project,
  uuid,
}: CapturedEventDocument['_id']): CapturedEventDocument['_id'] {
  return keyOf(project, bytesOf(uuid));
}

/** The primary key of a project's event. */
export function keyOf(project: string, uuid: Uint8Array): CapturedEventDocument['_id'] {
  return { project, uuid: new Binary(uuid, Binary.SUBTYPE_UUID) };
}

/** The 16 bytes of a UUID in its text form. */
export function uuidBytes(uuid: string): Buffer {
  return Buffer.from(uuid.replaceAll('-', ''), 'hex');
}

/** The bytes of a binary that is to be written or was read. */
export function bytesOf(binary: Binary | Uint8Array): Uint8Array {
  return binary instanceof Binary ? binary.buffer : binary;
}

/** The stored form of an indexed property's value, also for queries. */
export function indexedValue(value: Scalar): IndexedValue {
  return value === null ? new Binary(Buffer.alloc(0)) : value;
}
