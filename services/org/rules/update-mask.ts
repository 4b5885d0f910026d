/**
 * Returns the fields that an update sets (AIP-134): those that the mask names, or, if it is absent
 * or empty, those that `populated` says are not empty.
 */
export function fieldsToUpdate<Field extends string>(
  mask: readonly string[] | undefined,
  populated: Readonly<Record<Field, boolean>>,
): Set<Field> {
  const fields = Object.keys(populated) as Field[];
  if (mask === undefined || mask.length === 0) {
    return new Set(fields.filter((field) => populated[field]));
  }
  return new Set(fields.filter((field) => mask.includes(field)));
}
