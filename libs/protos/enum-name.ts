/** An enum object that ts-proto generates: numbers by name. */
type Enum = Readonly<Record<string, number>>;

const namesOf = new WeakMap<Enum, ReadonlyMap<unknown, string>>();

/**
 * The name of an enum value for display, such as `LEVEL_ADMIN`; never throws. The value is a number
 * of a decoded message, or a value of proto3 JSON: a name is returned unchanged, and an absent
 * value is 0. A number that only a newer release knows is shown as `UNKNOWN (7)`.
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

/** The name without the enum's prefix, such as `ADMIN`. */
export function bareName(values: Enum, value: unknown): string {
  const name = enumName(values, value);
  const prefix = enumName(values, 0).slice(0, -'UNSPECIFIED'.length);
  return name.startsWith(prefix) ? name.slice(prefix.length) : name;
}
