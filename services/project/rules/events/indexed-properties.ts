/** A JSON value that is neither an object nor an array. */
export type Scalar = string | number | boolean | null;

/** The indexed properties with their places; a place determines the field and the index. */
export type Places = ReadonlyMap<string, number>;

/** An indexed value of an event. */
export type IndexedValue = { place: number; value: Scalar };

/** The properties that are indexed in every project. */
export const alwaysIndexed: Places = new Map([
  ['$host', 0],
  ['$current_url', 1],
]);

/** Maximum number of indexed properties of an event. */
export const placesMax = 8;

/** Only the beginning of longer texts is indexed; results are then compared in full. */
export const indexedTextMax = 256;

/** The always indexed properties, and those that a project has chosen. */
export function placesWith(chosen: readonly { name: string; place: number }[]): Places {
  if (chosen.length === 0) return alwaysIndexed;
  return new Map([...alwaysIndexed, ...chosen.map(({ name, place }) => [name, place] as const)]);
}

/** The indexed values of an event's properties; only scalars are indexed. */
export function indexedOf(places: Places, propertyOf: (name: string) => unknown): IndexedValue[] {
  const indexed: IndexedValue[] = [];
  for (const [name, place] of places) {
    const value = propertyOf(name);
    if (isScalar(value)) indexed.push({ place, value: indexable(value) });
  }
  return indexed;
}

/** The indexed form of a scalar. Equal scalars have equal forms, but different ones may, too. */
export function indexable(value: Scalar): Scalar {
  return typeof value === 'string' ? value.slice(0, indexedTextMax).toWellFormed() : value;
}

/**
 * Whether no other scalar has the same indexed form. Different numbers may round to the same one.
 */
export function isExactlyIndexed(value: Scalar): boolean {
  if (typeof value === 'number') return false;
  // U+FFFD also replaces a lone surrogate.
  return (
    typeof value !== 'string' ||
    (value.length < indexedTextMax && !value.toWellFormed().includes('\ufffd'))
  );
}

export function isScalar(value: unknown): value is Scalar {
  return value === null || ['string', 'number', 'boolean'].includes(typeof value);
}
