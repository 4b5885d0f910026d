import {
  type CountEventsResponse,
  CountGrouping,
  type EventCount,
} from '@silo/protos/gen/silo/project/v1/event_service.ts';

// Enough for the hours of more than ten years. Of names and values, the largest counts are kept.
const groupsMax = 100_000;

/** Adds up the pages of a count. */
export class CountSum {
  #groups = new Map<string, EventCount & { count: number }>();
  #others = 0;
  #absent = 0;
  #total = 0;
  #timeZone = '';
  #nextPageToken = '';

  add(page: CountEventsResponse): void {
    for (const each of page.counts) {
      const key = JSON.stringify([each.startTime?.getTime(), each.name, each.value]);
      const before = this.#groups.get(key)?.count ?? 0;
      this.#groups.set(key, { ...each, count: before + (each.count ?? 0) });
    }
    this.#others += page.othersCount ?? 0;
    this.#absent += page.absentCount ?? 0;
    this.#total += page.totalCount ?? 0;
    this.#timeZone = page.timeZone;
    this.#nextPageToken = page.nextPageToken;
    if (this.#groups.size > groupsMax) this.#cut();
  }

  /** Keeps the first half, and adds the rest to the count of the others. */
  #cut(): void {
    const ordered = [...this.#groups].toSorted(([, a], [, b]) => compare(a, b));
    for (const [, { count }] of ordered.slice(groupsMax / 2)) this.#others += count;
    this.#groups = new Map(ordered.slice(0, groupsMax / 2));
  }

  result(): CountEventsResponse {
    return {
      counts: [...this.#groups.values()].toSorted(compare),
      othersCount: this.#others,
      absentCount: this.#absent,
      totalCount: this.#total,
      timeZone: this.#timeZone,
      nextPageToken: this.#nextPageToken,
    };
  }
}

type Counted = EventCount & { count: number };

/** Orders hours and days from the newest, names and values from the largest count. */
function compare(a: Counted, b: Counted): number {
  const byTime = (b.startTime?.getTime() ?? 0) - (a.startTime?.getTime() ?? 0);
  return byTime || b.count - a.count;
}

export type Grouping = { grouping: CountGrouping; property: string };

const groupings: Record<string, CountGrouping> = {
  hour: CountGrouping.COUNT_GROUPING_HOUR,
  day: CountGrouping.COUNT_GROUPING_DAY,
  name: CountGrouping.COUNT_GROUPING_NAME,
};

/** The grouping that `--by` names. */
export function groupingOf(by: string): Grouping {
  const grouping = Object.hasOwn(groupings, by) ? groupings[by] : undefined;
  if (grouping !== undefined) return { grouping, property: '' };
  const property = by.startsWith('property:') ? by.slice('property:'.length) : by;
  return { grouping: CountGrouping.COUNT_GROUPING_PROPERTY, property };
}
