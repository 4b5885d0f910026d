import { type Deletion, isCovered } from './events/deletions.ts';
import type { FilteredEvent } from './events/filter.ts';

/** A removal of events in another region: a deletion, or retention of events before a time. */
export type Removal = Deletion | { expiredBefore: Date };

/** Whether another region may lack an event because of the removal. */
export function mayHaveRemoved(
  removal: Removal,
  event: FilteredEvent & { generation: number },
): boolean {
  if ('expiredBefore' in removal) return event.time < removal.expiredBefore;
  return isCovered([removal], event);
}

/**
 * The numbers of events that another region lacks or has in another version, although it has not
 * removed them itself.
 */
export type Differences = { missing: number; changed: number };

/**
 * Why the events that a migration left here may not be removed, for people; undefined if they may.
 */
export function whyNotPurge({ missing, changed }: Differences, left = nothingRemoved) {
  if (missing > 0) {
    return `${missing} event(s) are not in the other region, and no deletion that it knows of covers them: ${left}.`;
  }
  if (changed > 0) {
    return `${changed} event(s) differ from those in the other region: ${left}.`;
  }
  return undefined;
}

const nothingRemoved = 'nothing was removed';

/** What a failed purge has left, for people. */
export function leftByPurge({ isPartlyRemoved = false }): string {
  return isPartlyRemoved
    ? 'an earlier purge may have removed some events here, and the rest is kept'
    : nothingRemoved;
}
