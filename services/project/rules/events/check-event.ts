import type { FieldViolation } from '@silo/errors/silo-error.ts';
import { type IndexedValue, indexedOf, type Places } from './indexed-properties.ts';
import {
  isDeeper,
  type JsonObject,
  joinObject,
  ownProperty,
  parseObject,
  splitObject,
} from './json-text.ts';
import { instantOf } from './timestamp.ts';
import { canonicalUuid } from './uuid.ts';

/**
 * The limits of one event.
 * @internal Exported for tests.
 */
export const eventBounds = {
  /** Characters of the event's name, and of the distinct id. */
  nameMax: 200,
  propertyNameMax: 400,
  /** Nesting of objects and arrays, including the properties object. */
  depthMax: 64,
  /** Bytes of the text of all properties of an event in UTF-8, including super properties. */
  propertyBytesMax: 1024 * 1024,
};

/** An event as sent; missing fields are ''. */
export type SentEvent = {
  uuid: string;
  name: string;
  distinctId: string;
  timestamp: string;
  properties: string;
};

/** An event as stored. */
export type CheckedEvent = {
  uuid: string;
  name: string;
  distinctId: string;
  /** The instant of `timestamp` in milliseconds. */
  time: Date;
  /** As sent; the time of receipt if none was sent. */
  timestamp: string;
  /** The text of a JSON object. */
  properties: string;
  indexed: IndexedValue[];
};

/**
 * An upper bound of the bytes of an event's document, and of its memory if most characters are
 * ASCII.
 */
export function heldBytes({
  name,
  distinctId,
  properties,
}: Pick<SentEvent, 'name' | 'distinctId' | 'properties'>): number {
  return Buffer.byteLength(properties) + 4 * (name.length + distinctId.length) + 2_048;
}

/** The super properties of a batch, prepared for merging into each event. */
export type SuperProperties = { object: JsonObject; values: ReadonlyMap<string, string> };

type Context = {
  receiveTime: Date;
  superProperties: SuperProperties | undefined;
  newUuid(): string;
  /** The properties that the project indexes. */
  places: Places;
};

/** Returns the event as it is stored, or its violations. Never throws. */
export function checkEvent(
  sent: SentEvent,
  { receiveTime, superProperties, newUuid, places }: Context,
): { event: CheckedEvent } | { violations: FieldViolation[] } {
  const violations: FieldViolation[] = [];
  const refuse = (field: string, description: string) => violations.push({ field, description });
  const uuid = sent.uuid === '' ? newUuid() : canonicalUuid(sent.uuid);
  if (uuid === undefined) refuse('uuid', 'must be a UUID with hyphens, or empty');
  if (!hasLength(sent.name)) refuse('name', nameRule);
  if (!hasLength(sent.distinctId)) refuse('distinct_id', nameRule);
  const time = sent.timestamp === '' ? receiveTime : instantOf(sent.timestamp);
  if (time === undefined) refuse('timestamp', timeRule);
  const read = readProperties(sent.properties, 'properties');
  if (read.violations !== undefined) violations.push(...read.violations);
  if (violations.length > 0 || uuid === undefined || time === undefined || !read.object) {
    return { violations };
  }
  const properties = merged(read.text, superProperties);
  if (isTooLarge(properties)) return { violations: [tooLarge('properties')] };
  const timestamp = sent.timestamp === '' ? time.toISOString() : sent.timestamp;
  const propertyOf = (name: string) =>
    Object.hasOwn(read.object, name)
      ? read.object[name]
      : superProperties && ownProperty(superProperties.object, name);
  const indexed = indexedOf(places, propertyOf);
  return {
    event: {
      uuid,
      name: sent.name,
      distinctId: sent.distinctId,
      time,
      timestamp,
      properties,
      indexed,
    },
  };
}

/** Parses the super properties of a batch. Returns them, or their violations. */
export function checkSuperProperties(
  text: string,
): { superProperties: SuperProperties | undefined } | { violations: FieldViolation[] } {
  if (text === '') return { superProperties: undefined };
  const { object, violations } = readProperties(text, 'super_properties');
  if (violations !== undefined) return { violations };
  return { superProperties: { object, values: splitObject(text) } };
}

const nameRule = `must have 1-${eventBounds.nameMax} characters`;
const timeRule =
  'must be a time by RFC 3339 with an offset and at most 9 decimals of a second, from year 1 to ' +
  '9999 in UTC, or empty';

type Read =
  | { text: string; object: JsonObject; violations?: undefined }
  | { object?: undefined; violations: FieldViolation[] };

function readProperties(sent: string, field: string): Read {
  const text = sent === '' ? '{}' : sent;
  if (isTooLarge(text)) return { violations: [tooLarge(field)] };
  const object = parseObject(text);
  if (object === undefined) return violation(field, 'must be a JSON object');
  if (isDeeper(object, eventBounds.depthMax)) {
    return violation(field, `must not nest deeper than ${eventBounds.depthMax} levels`);
  }
  const { propertyNameMax } = eventBounds;
  if (Object.keys(object).some((name) => !hasLength(name, propertyNameMax))) {
    return violation(field, `must have names of 1-${propertyNameMax} characters`);
  }
  return { text, object };
}

function violation(field: string, description: string): { violations: FieldViolation[] } {
  return { violations: [{ field, description }] };
}

function merged(text: string, superProperties: SuperProperties | undefined): string {
  if (superProperties === undefined) return text;
  const values = new Map(superProperties.values);
  for (const [name, value] of splitObject(text)) values.set(name, value);
  return joinObject(values);
}

function isTooLarge(text: string): boolean {
  return Buffer.byteLength(text) > eventBounds.propertyBytesMax;
}

function tooLarge(field: string): FieldViolation {
  return { field, description: `must have at most ${eventBounds.propertyBytesMax} bytes` };
}

/**
 * Characters are code points. There are at most as many as UTF-16 units, which are faster to count.
 */
function hasLength(text: string, max = eventBounds.nameMax): boolean {
  if (text === '') return false;
  return text.length <= max || (text.length <= 2 * max && [...text].length <= max);
}
