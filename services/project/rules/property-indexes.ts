import { errors } from '@silo/errors/errors.ts';
import { alwaysIndexed, placesMax } from './events/indexed-properties.ts';

/**
 * Maximum number of properties that a project may choose.
 * @internal Exported for tests.
 */
export const chosenMax = placesMax - alwaysIndexed.size;

/** The index of a property that a project has chosen. */
export type PropertyIndex = {
  name: string;
  place: number;
  /**
   * The project's revision that created the index: if a place is reused, the new index has a later
   * one.
   */
  since: number;
  /**
   * Building: captures write its values; older events may lack them. Ready: every event has them,
   * so that queries may use it. Removing: captures no longer write them; some events still have
   * them.
   */
  state: 'building' | 'ready' | 'removing';
};

/** Refuses with INVALID_FIELD names that are always indexed. */
export function checkChosen(names: readonly string[], path: string): void {
  const violations = names.flatMap((name, index) => {
    const description = 'is indexed in every project: leave it out';
    return alwaysIndexed.has(name) ? [{ field: `${path}[${index}]`, description }] : [];
  });
  if (violations.length > 0) throw errors.invalidField(violations);
}

/**
 * The indexes of a project after it has chosen these properties. Refuses with REQUEST_IN_PROGRESS
 * if no place is free until the values of a deselected property are removed.
 */
export function chooseIndexes(
  present: readonly PropertyIndex[],
  names: readonly string[],
  since: number,
): PropertyIndex[] {
  const indexes = present.map((index): PropertyIndex => {
    if (index.state === 'removing' || names.includes(index.name)) return index;
    return { ...index, state: 'removing', since };
  });
  const isIndexed = (name: string) =>
    indexes.some((index) => index.name === name && index.state !== 'removing');
  for (const name of names.filter((each) => !isIndexed(each))) {
    const place = freePlace(indexes);
    if (place === undefined) throw errors.requestInProgress();
    indexes.push({ name, place, since, state: 'building' });
  }
  return indexes;
}

/** The indexes whose values captures write. */
export function writtenIndexes(indexes: readonly PropertyIndex[]): PropertyIndex[] {
  return indexes.filter(({ state }) => state !== 'removing');
}

function freePlace(indexes: readonly PropertyIndex[]): number | undefined {
  for (let place = alwaysIndexed.size; place < placesMax; place++) {
    if (indexes.every((index) => index.place !== place)) return place;
  }
  return undefined;
}
