import { InvalidArgumentError } from '@commander-js/extra-typings';

const unitMs: Record<string, number> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** A duration such as `1h`, in ms; undefined if the text is not one. */
export function durationMsOf(text: string): number | undefined {
  const [, count, unit = ''] = /^(\d{1,9})([smhd])$/.exec(text) ?? [];
  return count === undefined ? undefined : Number(count) * (unitMs[unit] ?? 0);
}

const isoTime = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[-+]\d\d:\d\d)?)?$/;

/** A time, in UTC if it has no offset; or a duration ago, such as `1h`, `7d`. */
export function parseTime(text: string, now: Date): Date {
  const durationMs = durationMsOf(text);
  if (durationMs !== undefined) return validTime(new Date(now.getTime() - durationMs));
  const [, clock, , , offset] = isoTime.exec(text) ?? [];
  const time = clock !== undefined && offset === undefined ? `${text}Z` : text;
  return validTime(isoTime.test(text) ? new Date(time) : new Date(Number.NaN));
}

function validTime(time: Date): Date {
  if (!Number.isNaN(time.getTime())) return time;
  throw new InvalidArgumentError('Write 2027-01-31, 2027-01-31T12:00Z, or 30s, 15m, 1h, 7d.');
}

/**
 * The first day of this number of days, including today; empty for the number that Silo returns by
 * default.
 */
export function firstDayOf(days: number | undefined, now: Date): string {
  if (days === undefined) return '';
  return new Date(now.getTime() - (days - 1) * 86_400_000).toISOString().slice(0, 10);
}
