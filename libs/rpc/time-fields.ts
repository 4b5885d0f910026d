import type { DescField, DescMessage } from '@bufbuild/protobuf';
import type { FieldViolation } from '@silo/errors/silo-error.ts';
import { isTimestamp, timestampMax, timestampMin } from '@silo/protos/timestamp-range.ts';

/** Checks the times of a decoded request; returns those that a Timestamp cannot hold. */
export type ReadTimes = (request: unknown) => FieldViolation[];

type TimeField = { steps: string[]; name: string };

const description = `must be from ${timestampMin.toISOString()} to ${timestampMax.toISOString()}`;

/**
 * Compiles the check of a request's Timestamps, at any depth; undefined if there are none. A Date
 * holds more times than a Timestamp, and an answer with such a time could not be read. Throws for a
 * Timestamp in a list, a map or a oneof, because no request has one there.
 */
export function compileTimes(input: DescMessage): ReadTimes | undefined {
  const fields = timeFields(input, [], []);
  if (fields.length === 0) return undefined;
  return (request) =>
    fields.flatMap(({ steps, name }) => {
      const time = steps.reduce<unknown>((holder, step) => valueIn(holder, step), request);
      return time instanceof Date && !isTimestamp(time) ? [{ field: name, description }] : [];
    });
}

function timeFields(
  message: DescMessage,
  path: readonly DescField[],
  outer: readonly DescMessage[],
): TimeField[] {
  if (outer.includes(message)) return [];
  return message.fields.flatMap((field) => {
    if (field.message === undefined) return [];
    const whole = [...path, field];
    const name = whole.map((each) => each.name).join('.');
    const found =
      field.message.typeName === 'google.protobuf.Timestamp'
        ? [{ steps: whole.map(({ localName }) => localName), name }]
        : timeFields(field.message, whole, [...outer, message]);
    const isAlone = field.fieldKind === 'message' && field.oneof === undefined;
    if (found.length > 0 && !isAlone) throw new TypeError(`the time ${name} cannot be checked`);
    return found;
  });
}

function valueIn(holder: unknown, name: string): unknown {
  const isObject = typeof holder === 'object' && holder !== null;
  return isObject ? (holder as Record<string, unknown>)[name] : undefined;
}
