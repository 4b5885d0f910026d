/** What ts-proto generates for an enum: the numbers by their names. */
type Enum = Readonly<Record<string, number>>;

const namesOf = new WeakMap<Enum, ReadonlyMap<unknown, string>>();

/**
 * The name of an enum value, such as `LEVEL_ADMIN`, for people; it never throws. The value is a
 * number of a decoded message, or what proto3 JSON holds: then a name is itself, and what is absent
 * is 0. A number that only a newer release knows is `UNKNOWN (7)`.
 */
export function enumName(values: Enum, value: unknown): string {
  if (typeof value === 'string') return value;
  let names = namesOf.get(values);
  if (names === undefined) {
    names = new Map(Object.entries(values).map(([name, number]) => [number, name]));
    namesOf.set(values, names);
  }
  return names.get(value ?? 0) ?? `UNKNOWN (${value})`;
}

/** The same without the enum's prefix: `ADMIN`. */
export function bareName(values: Enum, value: unknown): string {
  const name = enumName(values, value);
  const prefix = enumName(values, 0).slice(0, -'UNSPECIFIED'.length);
  return name.startsWith(prefix) ? name.slice(prefix.length) : name;
}
