import { errors } from '@silo/errors/errors.ts';

/** The sort key of a page that goes on after one string, such as an id. */
export function textKey(key: readonly unknown[] | undefined): string | undefined {
  if (key === undefined) return undefined;
  const [text] = key;
  return key.length === 1 && typeof text === 'string' ? text : refuse();
}

/** The sort key of a page that goes on after a time and a string. */
export function timeAndTextKey(
  key: readonly unknown[] | undefined,
): { time: Date; text: string } | undefined {
  if (key === undefined) return undefined;
  const [time, text] = key;
  const fits = key.length === 2 && isTime(time) && typeof text === 'string';
  return fits ? { time, text } : refuse();
}

/** The sort key of a page of activity: time, sequence, id. */
export function activityKey(
  key: readonly unknown[] | undefined,
): { time: Date; sequence: number; id: string } | undefined {
  if (key === undefined) return undefined;
  const [time, sequence, id] = key;
  const fits = key.length === 3 && isTime(time) && typeof sequence === 'number';
  return fits && typeof id === 'string' ? { time, sequence, id } : refuse();
}

function isTime(value: unknown): value is Date {
  return value instanceof Date && !Number.isNaN(value.getTime());
}

// A page token is not a secret: a forged one must not reach the store.
function refuse(): never {
  const description = 'is no page token of this query. Leave it empty to start over.';
  throw errors.invalidField([{ field: 'page_token', description }]);
}
