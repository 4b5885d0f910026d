/** A value of JSON that is neither an object nor an array. */
export type Scalar = string | number | boolean | null;

/** The properties that every project can find by index; the place of each is that of its index. */
export const indexedProperties = ['$host', '$current_url'] as const;

/** Longer texts are indexed by their beginning: what is found by it is compared in full later. */
const indexedTextMax = 256;

/** The values to be indexed of an event's properties, by place; undefined where there is none. */
export function indexedOf(propertyOf: (name: string) => unknown): (Scalar | undefined)[] {
  return indexedProperties.map((name) => {
    const value = propertyOf(name);
    return isScalar(value) ? indexable(value) : undefined;
  });
}

/** A scalar as it is indexed. Equal scalars have equal forms; not always the other way round. */
export function indexable(value: Scalar): Scalar {
  return typeof value === 'string' ? value.slice(0, indexedTextMax).toWellFormed() : value;
}

/** Whether no other scalar has the same indexed form. Numbers that differ may round to one. */
export function isExactlyIndexed(value: Scalar): boolean {
  if (typeof value === 'number') return false;
  // U+FFFD also stands for a lone surrogate.
  return typeof value !== 'string' || (value.length < indexedTextMax && !value.includes('\ufffd'));
}

/** The place of a property's index; undefined where it has none. */
export function placeOf(name: string): number | undefined {
  const place = (indexedProperties as readonly string[]).indexOf(name);
  return place < 0 ? undefined : place;
}

export function isScalar(value: unknown): value is Scalar {
  return value === null || ['string', 'number', 'boolean'].includes(typeof value);
}
