import {
  type CountEventsResponse,
  CountGrouping,
  type EventCount,
} from '@silo/protos/gen/silo/project/v1/event_service.ts';

// Hours of more than ten years; of names and values, the largest.
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

  /** Leaves the first half, and counts the rest with the others. */
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

/** Hours and days from the newest on, names and values from the largest on. */
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

/** What `--by` means. */
export function groupingOf(by: string): Grouping {
  const grouping = Object.hasOwn(groupings, by) ? groupings[by] : undefined;
  if (grouping !== undefined) return { grouping, property: '' };
  const property = by.startsWith('property:') ? by.slice('property:'.length) : by;
  return { grouping: CountGrouping.COUNT_GROUPING_PROPERTY, property };
}
