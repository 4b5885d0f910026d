/**
 * The fields that an update means (AIP-134): those that the mask names, or, where it is absent or
 * empty, every field of `populated` that is.
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
