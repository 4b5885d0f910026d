import type { CheckedFilter } from './filter.ts';

const dayMs = 24 * 60 * 60 * 1000;

/** The time before which events are not kept; undefined if all are. */
export function keptSince(retentionDays: number, now: Date): Date | undefined {
  return retentionDays > 0 ? new Date(now.getTime() - retentionDays * dayMs) : undefined;
}

/** The filter restricted to events since that time. */
export function since(filter: CheckedFilter, time: Date | undefined): CheckedFilter {
  const { startTime } = filter;
  if (time === undefined || (startTime !== undefined && startTime >= time)) return filter;
  return { ...filter, startTime: time };
}
