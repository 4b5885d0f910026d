import { timestampMin } from '@silo/protos/timestamp-range.ts';
import { Temporal } from 'temporal-polyfill';
import { indexable, isScalar, type Scalar } from './indexed-properties.ts';

/** The grouping of counted events. */
export type Grouping =
  | { by: 'total' }
  | { by: 'hour' | 'day'; timeZone: string }
  | { by: 'name' }
  /** By the value of the property of this name. */
  | { by: 'property'; property: string };

/** The key of a group: the start of its hour or day, a name, or a value. Null is the value null. */
export type GroupKey = Date | Scalar;

/** The counts of some of the matching events. */
export type Counts = {
  /** Hours and days newest first; all others largest first. */
  groups: { key: GroupKey; count: number }[];
  total: number;
  /** Number of events in groups that are too small to be listed. */
  others: number;
  /** Number of events without a group. */
  absent: number;
};

/**
 * Adds up the counts of one page of events, given newest first. For hours and days, the page ends
 * after its maximum of groups; for other groupings, only the groups with most events are listed.
 */
export class Tally {
  readonly #grouping: Grouping;
  readonly #groupsMax: number;
  readonly #times: { key: Date; count: number }[] = [];
  readonly #values = new Map<Scalar, number>();
  #total = 0;
  #absent = 0;

  constructor(grouping: Grouping, groupsMax: number) {
    this.#grouping = grouping;
    this.#groupsMax = groupsMax;
  }

  /**
   * Counts events of one instant. Returns false and counts nothing if the hour or day would exceed
   * the page's maximum of groups.
   */
  addAt(time: Date, count: number): boolean {
    let last = this.#times.at(-1);
    if (last === undefined || time < last.key) {
      if (this.#times.length === this.#groupsMax) return false;
      last = { key: this.#startOf(time), count: 0 };
      this.#times.push(last);
    }
    last.count += count;
    this.#total += count;
    return true;
  }

  /** Counts events of one name or value; undefined: they have none. */
  addValue(value: Scalar | undefined, count: number): void {
    this.#total += count;
    if (value === undefined) this.#absent += count;
    else this.#values.set(value, (this.#values.get(value) ?? 0) + count);
  }

  /** The hour or day that was begun last; undefined if there is none. */
  get oldestGroup(): Date | undefined {
    return this.#times.at(-1)?.key;
  }

  counts(): Counts {
    const [total, absent] = [this.#total, this.#absent];
    switch (this.#grouping.by) {
      case 'total':
        return { groups: [], total, others: 0, absent: 0 };
      case 'hour':
      case 'day':
        return { groups: this.#times, total, others: 0, absent: 0 };
      case 'name':
      case 'property': {
        const sorted = [...this.#values].sort(([, a], [, b]) => b - a);
        const groups = sorted.slice(0, this.#groupsMax).map(([key, count]) => ({ key, count }));
        const listed = groups.reduce((sum, { count }) => sum + count, 0);
        return { groups, total, others: total - absent - listed, absent };
      }
    }
  }

  #startOf(time: Date): Date {
    const { by } = this.#grouping;
    if (by !== 'hour' && by !== 'day') throw new TypeError(`counts by ${by} have no times`);
    return startOf(by, time, this.#grouping.timeZone);
  }
}

/** The value by which an event is counted, in its indexed form; undefined if it has none. */
export function countedValue(value: unknown): Scalar | undefined {
  return isScalar(value) ? indexable(value) : undefined;
}

/** A value as JSON text. Numbers beyond the range of a double are one group with one text. */
export function jsonOf(value: Scalar): string {
  if (value === Number.POSITIVE_INFINITY) return '1e999';
  if (value === Number.NEGATIVE_INFINITY) return '-1e999';
  return JSON.stringify(value);
}

/**
 * The start of an instant's hour or day in a time zone. On a clock change, a day has 23 or 25
 * hours. A repeated hour counts as two, and an hour with a change of half an hour is longer or
 * shorter. If the clocks go back to before the start of an hour or day, that hour or day continues.
 * The first one begins with the minimum of a Timestamp.
 * @internal Exported for tests.
 */
export function startOf(unit: 'hour' | 'day', time: Date, timeZone: string): Date {
  const instant = Temporal.Instant.fromEpochMilliseconds(time.getTime());
  const zoned = instant.toZonedDateTimeISO(timeZone);
  const start = Math.max(startByClock(unit, zoned), startBeforeChange(unit, zoned));
  return new Date(Math.max(start, Math.min(timestampMin.getTime(), time.getTime())));
}

/** The start by the time of day; -Infinity if the clocks skipped it. */
function startByClock(unit: 'hour' | 'day', zoned: Temporal.ZonedDateTime): number {
  const start =
    unit === 'day'
      ? zoned.startOfDay()
      : zoned.round({ smallestUnit: 'hour', roundingMode: 'floor' });
  const { epochMilliseconds } = start;
  return epochMilliseconds <= zoned.epochMilliseconds
    ? epochMilliseconds
    : Number.NEGATIVE_INFINITY;
}

/**
 * The start of the hour or day in which the clocks changed; -Infinity if they did not change in the
 * last 48 hours. The search for an older change takes about 0.5 ms.
 */
function startBeforeChange(unit: 'hour' | 'day', zoned: Temporal.ZonedDateTime): number {
  const isChanged = zoned.subtract({ hours: 48 }).offset !== zoned.offset;
  // The previous change of an instant is before that instant.
  const change = isChanged && zoned.add({ nanoseconds: 1 }).getTimeZoneTransition('previous');
  if (!change) return Number.NEGATIVE_INFINITY;
  return startByClock(unit, change.subtract({ milliseconds: 1 }));
}
