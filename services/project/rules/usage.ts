import { errors } from '@silo/errors/errors.ts';
import type { CheckedEvent } from './events/check-event.ts';

const dayMs = 24 * 60 * 60 * 1000;
const daysMax = 366;
const daysDefault = 30;

/** The bytes of an event for usage: those of its name, distinct id and properties in UTF-8. */
export function usageBytes({ name, distinctId, properties }: CheckedEvent): number {
  return Buffer.byteLength(name) + Buffer.byteLength(distinctId) + Buffer.byteLength(properties);
}

/** The beginning of the UTC day of a time. */
export function startOfDay(time: Date): Date {
  return new Date(Math.floor(time.getTime() / dayMs) * dayMs);
}

/** A day in the format of the API: `2026-11-29`. */
export function dayText(day: Date): string {
  return day.toISOString().slice(0, 'yyyy-mm-dd'.length);
}

/** The days from the first to the last, both included. */
export type Days = { first: Date; last: Date };

/**
 * The days in a request. Defaults: the last day is today, and the first one makes 30 days. Refuses
 * with INVALID_FIELD an invalid day, an empty range and a range of more than 366 days.
 */
export function daysOf(
  { firstDay, lastDay }: { firstDay: string; lastDay: string },
  now: Date,
): Days {
  const last = lastDay === '' ? startOfDay(now) : dayIn(lastDay, 'last_day');
  const first =
    firstDay === ''
      ? new Date(last.getTime() - (daysDefault - 1) * dayMs)
      : dayIn(firstDay, 'first_day');
  const days = (last.getTime() - first.getTime()) / dayMs + 1;
  if (days < 1 || days > daysMax) {
    const description = `must be 1-${daysMax} days up to the last day, ${dayText(last)}`;
    throw errors.invalidField([{ field: 'first_day', description }]);
  }
  return { first, last };
}

/**
 * The day in a field of a request. Refuses with INVALID_FIELD any other text.
 * @internal Exported for tests.
 */
export function dayIn(text: string, field: string): Date {
  const day = readDay(text);
  if (day !== undefined) return day;
  throw errors.invalidField([{ field, description: 'must be a day such as `2026-11-29`' }]);
}

/** The day of a text such as `2026-11-29`; undefined for any other value. */
export function readDay(text: unknown): Date | undefined {
  const day = new Date(`${text}T00:00:00.000Z`);
  return !Number.isNaN(day.getTime()) && dayText(day) === text ? day : undefined;
}
