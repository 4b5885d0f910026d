import type { Index } from '@silo/mongo/indexes.ts';
import { Binary } from 'mongodb';
import type { CheckedEvent } from '../rules/events/check-event.ts';
import { alwaysIndexed, type Scalar } from '../rules/events/indexed-properties.ts';

/** The collection of all captured events. */
export const collectionName = 'captured_events';

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
  /** How many deletions of the project's events its capture came after; absent: none. */
  generation?: number;
  /** Indexed properties, by their place; absent where the event has none, or no scalar. */
  [place: `x${number}`]: IndexedValue;
};

/** A null is an empty binary: a query of null would find documents without the field, too. */
type IndexedValue = string | number | boolean | Binary | Uint8Array;

/** The order of a page: that of every index. */
const newestFirst = { time: -1, '_id.uuid': -1 } as const;
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

/** The events of one capture, with the project and its owner as the token's permit has them. */
export type EventBatch = {
  projectId: string;
  organizationId: string;
  receiveTime: Date;
  /** Of the project's fact: how many times events of it were deleted. */
  generation: number;
  events: readonly CheckedEvent[];
};

/** A stored id, as a filter must have it: its UUID comes back as plain bytes. */
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

/** The 16 bytes of a UUID in its usual form. */
export function uuidBytes(uuid: string): Buffer {
  return Buffer.from(uuid.replaceAll('-', ''), 'hex');
}

/** The bytes of a binary, as it is written or read. */
export function bytesOf(binary: Binary | Uint8Array): Uint8Array {
  return binary instanceof Binary ? binary.buffer : binary;
}

/** An indexed property as it is stored, and so sought. */
export function indexedValue(value: Scalar): IndexedValue {
  return value === null ? new Binary(Buffer.alloc(0)) : value;
}
