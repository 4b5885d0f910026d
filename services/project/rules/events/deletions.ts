import type { ProjectFact } from '@silo/protos/gen/silo/project/internal/v1/fact_service.ts';
import type { EventFilter } from '@silo/protos/gen/silo/project/v1/event.ts';
import { type CheckedFilter, type FilteredEvent, matches } from './filter.ts';

/** Maximum number of open deletions of a project: each query compares events with them. */
export const openDeletionsMax = 10;
/** Maximum size of a deletion's filter, which is stored and compared with every event. */
export const deletionFilterBytesMax = 16 * 1024;

/** A deletion covers events of earlier generations than its own that match its filter. */
export type Deletion = { generation: number; filter: CheckedFilter };

/** The number of deletions of a project's events according to its fact. */
export function generationOf({ capture }: Pick<ProjectFact, 'capture'>): number {
  return capture?.generation ?? 0;
}

/** Whether any of the deletions covers an event. */
export function isCovered(
  deletions: readonly Deletion[],
  event: FilteredEvent & { generation: number },
): boolean {
  return deletions.some(
    ({ generation, filter }) => event.generation < generation && matches(filter, event),
  );
}

/** The names of the fields that a filter restricts, without their values. */
export function filterFields(filter: EventFilter): string[] {
  return [
    ...(filter.startTime === undefined ? [] : ['start_time']),
    ...(filter.endTime === undefined ? [] : ['end_time']),
    ...(filter.names.length === 0 ? [] : ['names']),
    ...(filter.distinctId === '' ? [] : ['distinct_id']),
    ...new Set(filter.properties.map(({ name }) => `properties.${name}`)),
  ];
}
