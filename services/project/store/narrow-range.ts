import { bounded } from '@silo/mongo/read.ts';
import type { Collection, Filter } from 'mongodb';
import type { CheckedFilter } from '../rules/events/filter.ts';
import { type IndexedRange, indexedRanges } from '../rules/events/indexed-ranges.ts';
import { type CapturedEventDocument, placeIndex } from './event-collection.ts';

/**
 * Maximum number of events in a range that is read by its index: as many as a page otherwise
 * compares.
 * @internal Exported for tests.
 */
export const narrowMax = 5_000;

/** A range of an indexed property that contains few events of a project. */
export type NarrowRange = { place: number; within: Filter<CapturedEventDocument>[] };

/**
 * The range of an indexed property according to a filter's LESS, GREATER and PREFIX, if it contains
 * few events: an index has them in the order of values, so their keys are sorted for each page.
 */
export async function narrowRange(
  events: Collection<CapturedEventDocument>,
  projectId: string,
  filter: CheckedFilter,
): Promise<NarrowRange | undefined> {
  for (const [place, ranges] of indexedRanges(filter)) {
    const within = ranges.map((range) => boundsOf(place, range));
    const query = { '_id.project': projectId, $and: within };
    const options = { ...bounded, hint: placeIndex(place).name ?? '', limit: narrowMax + 1 };
    if ((await events.countDocuments(query, options)) <= narrowMax) return { place, within };
  }
  return undefined;
}

function boundsOf(
  place: number,
  { least, most, except }: IndexedRange,
): Filter<CapturedEventDocument> {
  const [above, below] = [except === least ? '$gt' : '$gte', except === most ? '$lt' : '$lte'];
  return { [`x${place}`]: { [above]: least, [below]: most } };
}
