import type { ProjectFact } from '@silo/protos/gen/silo/project/internal/v1/fact_service.ts';
import type { EventFilter } from '@silo/protos/gen/silo/project/v1/event.ts';
import { type CheckedFilter, type FilteredEvent, matches } from './filter.ts';

/** How many deletions of a project may remove events at a time: each query compares with them. */
export const openDeletionsMax = 10;
/** Of a deletion's filter, which is stored and compared with every event. */
export const deletionFilterBytesMax = 16 * 1024;

/** What a deletion covers: events of earlier generations than its own that its filter means. */
export type Deletion = { generation: number; filter: CheckedFilter };

/** The number of deletions of a project's events that the fact counts. */
export function generationOf({ capture }: Pick<ProjectFact, 'capture'>): number {
  return capture?.generation ?? 0;
}

/** Whether one of the deletions covers an event. */
export function isCovered(
  deletions: readonly Deletion[],
  event: FilteredEvent & { generation: number },
): boolean {
  return deletions.some(
    ({ generation, filter }) => event.generation < generation && matches(filter, event),
  );
}

/** What a filter restricts, without its values. */
export function filterFields(filter: EventFilter): string[] {
  return [
    ...(filter.startTime === undefined ? [] : ['start_time']),
    ...(filter.endTime === undefined ? [] : ['end_time']),
    ...(filter.names.length === 0 ? [] : ['names']),
    ...(filter.distinctId === '' ? [] : ['distinct_id']),
    ...new Set(filter.properties.map(({ name }) => `properties.${name}`)),
  ];
}
