import { accessSync, constants } from 'node:fs';

export type HostPort = { host: string; port: number };
export type Environment = Readonly<Record<string, string | undefined>>;

/** File access that a setting needs, as a parameter: reading the configuration stays pure. */
export type ConfigWorld = { isReadable(path: string): boolean };

type Parsed<T> = { value: T } | { fault: string };

/** One setting: how to parse it, and the fault to report if it cannot be parsed. */
export type Setting<T> = {
  /** `raw` is undefined if the variable is unset or empty. */
  parse(raw: string | undefined, world: ConfigWorld): Parsed<T>;
  /** The same setting with a default for an unset or empty variable. */
  default(value: T): Setting<T>;
  /** The same setting, undefined if the variable is unset or empty. */
  optional(): Setting<T | undefined>;
};

export type ConfigShape = Readonly<Record<string, Setting<unknown>>>;
export type ConfigOf<Shape extends ConfigShape> = {
  [Key in keyof Shape]: Shape[Key] extends Setting<infer T> ? T : never;
};

const realWorld: ConfigWorld = {
  isReadable: (path) => {
    try {
      accessSync(path, constants.R_OK);
      return true;
    } catch {
      return false;
    }
  },
};

// A fault never quotes the value: it may be a password in the wrong variable.
function setting<T>(
  expected: string,
  read: (raw: string, world: ConfigWorld) => T | undefined,
): Setting<T> {
  return settingOf<T>((raw, world) => {
    if (raw === undefined) return { fault: `is not set; expected ${expected}` };
    const value = read(raw, world);
    if (value === undefined) return { fault: `is not ${expected}` };
    return { value };
  });
}

function settingOf<T>(parse: Setting<T>['parse']): Setting<T> {
  const fallingBackTo = <U>(fallback: U): Setting<T | U> =>
    settingOf<T | U>((raw, world) => (raw === undefined ? { value: fallback } : parse(raw, world)));
  return { parse, default: fallingBackTo, optional: () => fallingBackTo(undefined) };
}

/** Any text. */
export function string(): Setting<string> {
  return setting('a text', (raw) => raw);
}

/** One of the given words. */
export function oneOf<const Word extends string>(...words: Word[]): Setting<Word> {
  return setting(`one of ${words.join(', ')}`, (raw) => words.find((word) => word === raw));
}

/** An integer within the limits, inclusive. */
export function integer(limits: { min: number; max: number }): Setting<number> {
  return setting(`a whole number from ${limits.min} to ${limits.max}`, (raw) => {
    if (!/^-?\d{1,15}$/.test(raw)) return undefined;
    const value = Number(raw);
    return value >= limits.min && value <= limits.max ? value : undefined;
  });
}

/** A number within the limits, inclusive; such as 0.01. */
export function decimal(limits: { min: number; max: number }): Setting<number> {
  return setting(`a number from ${limits.min} to ${limits.max}`, (raw) => {
    if (!/^-?\d{1,15}(\.\d{1,15})?$/.test(raw)) return undefined;
    const value = Number(raw);
    return value >= limits.min && value <= limits.max ? value : undefined;
  });
}

/** `host:port` or `[ipv6]:port`; with port 0 the listener picks a free port. */
export function hostPort(): Setting<HostPort> {
  return setting('host:port', (raw) => {
    const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:/@[\]]+)):(\d{1,5})$/.exec(raw);
    const host = match?.[1] ?? match?.[2];
    const port = Number(match?.[3]);
    return host !== undefined && port <= 65_535 ? { host, port } : undefined;
  });
}

/** Formats an address as `hostPort` parses it. */
export function formatHostPort(address: HostPort): string {
  const host = address.host.includes(':') ? `[${address.host}]` : address.host;
  return `${host}:${address.port}`;
}

/**
 * A URL with one of these schemes, as given. It may name several hosts, as MongoDB URLs do, and a
 * user with a password. Reserved characters in these must be percent-encoded: otherwise a part of
 * the password would be parsed as a host, and appear in error messages.
 */
export function url(...schemes: string[]): Setting<string> {
  const expected = `a URL that begins with ${schemes.map((s) => `${s}://`).join(' or ')}, user and password percent-encoded`;
  // Not `new URL`, which rejects lists of hosts.
  const part = '(?:[^\\s/?#@:,%]|%[0-9A-Fa-f]{2})+';
  const pattern = new RegExp(
    `^([a-z][a-z0-9+.-]*)://(?:${part}(?::${part})?@)?[^\\s/?#@]+(?:[/?#][^\\s@]*)?$`,
  );
  return setting(expected, (raw) => {
    const scheme = pattern.exec(raw)?.[1];
    return schemes.some((each) => each === scheme) ? raw : undefined;
  });
}

/** The path of a readable file. */
export function file(): Setting<string> {
  return setting('the path of a readable file', (raw, world) =>
    world.isReadable(raw) ? raw : undefined,
  );
}

/**
 * `key=value`, several separated by commas. A value may hold commas, as `ipv4:a:1,b:2` does, and no
 * `=`. No key may repeat.
 */
export function entries<Key extends string>(
  key: Setting<Key>,
  expected: string,
): Setting<ReadonlyMap<Key, string>> {
  return setting(expected, (raw, world) => {
    const pairs = raw.split(/,(?=[^,=]*=)/).map((pair) => pair.trim().split('='));
    const found = new Map<Key, string>();
    for (const [name, value = '', ...rest] of pairs) {
      const parsed = key.parse(name, world);
      if ('fault' in parsed || value === '' || rest.length > 0) return undefined;
      found.set(parsed.value, value);
    }
    return found.size === pairs.length ? found : undefined;
  });
}

/**
 * The environment variable of a setting: `mongodbUrl` → `MONGODB_URL`.
 * @internal Exported for tests.
 */
export function variableOf(key: string): string {
  return key.replace(/[A-Z]/g, '_$&').toUpperCase();
}

/**
 * Settings, and a check across several of them: it gets the settings that could be parsed and
 * returns faults, one sentence each.
 */
export type ConfigSpec<Shape extends ConfigShape> = {
  shape: Shape;
  check?(config: Partial<ConfigOf<Shape>>): string[];
};

/**
 * Reads every setting of `shape` from `env`, each from the variable that `variableOf` returns.
 * Returns the whole configuration or all faults, one sentence each; no fault quotes a value.
 */
export function readConfig<const Shape extends ConfigShape>(
  env: Environment,
  { shape, check }: ConfigSpec<Shape>,
  world: ConfigWorld = realWorld,
): { config: ConfigOf<Shape> } | { faults: string[] } {
  const faults: string[] = [];
  const entries: [string, unknown][] = [];
  for (const [key, { parse }] of Object.entries(shape)) {
    const parsed = parse(env[variableOf(key)] || undefined, world);
    if ('fault' in parsed) faults.push(`${variableOf(key)} ${parsed.fault}`);
    else entries.push([key, parsed.value]);
  }
  const config = Object.fromEntries(entries) as ConfigOf<Shape>;
  faults.push(...(check?.(config) ?? []));
  return faults.length > 0 ? { faults } : { config };
}

/** Reads the configuration of this process, or prints every fault and exits with code 2. */
export function configOrExit<const Shape extends ConfigShape>(
  spec: ConfigSpec<Shape>,
  host: {
    env: Environment;
    print(line: string): void;
    exit(code: number): never;
  } = {
    env: process.env,
    print: (line) => console.error(line),
    exit: (code) => process.exit(code),
  },
): ConfigOf<Shape> {
  const result = readConfig(host.env, spec);
  if ('config' in result) return result.config;
  host.print(`The configuration has ${result.faults.length} fault(s):`);
  for (const fault of result.faults) host.print(`  ${fault}`);
  return host.exit(2);
}
