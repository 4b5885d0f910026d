/** A value of JSON that is neither an object nor an array. */
export type Scalar = string | number | boolean | null;

/** Which properties are indexed: the place of each is that of its field and its index. */
export type Places = ReadonlyMap<string, number>;

/** An indexed value of an event. */
export type IndexedValue = { place: number; value: Scalar };

/** The properties that every project can find by index. */
export const alwaysIndexed: Places = new Map([
  ['$host', 0],
  ['$current_url', 1],
]);

/** How many properties an event is found by, at most. */
export const placesMax = 8;

/** Longer texts are indexed by their beginning: what is found by it is compared in full later. */
export const indexedTextMax = 256;

/** With the properties that a project has chosen. */
export function placesWith(chosen: readonly { name: string; place: number }[]): Places {
  if (chosen.length === 0) return alwaysIndexed;
  return new Map([...alwaysIndexed, ...chosen.map(({ name, place }) => [name, place] as const)]);
}

/** The values to be indexed of an event's properties; of what is no scalar there is none. */
export function indexedOf(places: Places, propertyOf: (name: string) => unknown): IndexedValue[] {
  const indexed: IndexedValue[] = [];
  for (const [name, place] of places) {
    const value = propertyOf(name);
    if (isScalar(value)) indexed.push({ place, value: indexable(value) });
  }
  return indexed;
}

/** A scalar as it is indexed. Equal scalars have equal forms; not always the other way round. */
export function indexable(value: Scalar): Scalar {
  return typeof value === 'string' ? value.slice(0, indexedTextMax).toWellFormed() : value;
}

/** Whether no other scalar has the same indexed form. Numbers that differ may round to one. */
export function isExactlyIndexed(value: Scalar): boolean {
  if (typeof value === 'number') return false;
  // U+FFFD also stands for a lone surrogate.
  return (
    typeof value !== 'string' ||
    (value.length < indexedTextMax && !value.toWellFormed().includes('\ufffd'))
  );
}

export function isScalar(value: unknown): value is Scalar {
  return value === null || ['string', 'number', 'boolean'].includes(typeof value);
}
