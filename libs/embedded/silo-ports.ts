import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort, isPortFree } from './ports.ts';
import type { Log } from './processes.ts';

/**
 * Everything that listens; a service has three ports.
 * @internal Exported for tests.
 */
export const defaultPorts = {
  'org public': 7101,
  'org internal': 7201,
  'org metrics': 7401,
  'project public': 7102,
  'project internal': 7202,
  'project metrics': 7402,
  'token public': 7103,
  'token internal': 7203,
  'token metrics': 7403,
  'billing public': 7104,
  'billing internal': 7204,
  'billing metrics': 7404,
  'http edge': 7105,
  mongodb: 7301,
  nats: 7302,
} as const;

export type PortName = keyof typeof defaultPorts;
export type Ports = Record<PortName, number>;

/**
 * Chooses ports and stores them in `ports.json`: the documented port, else that of the last start,
 * else a free one. With `free`, leaves the documented ports to others; does not check the ports in
 * `unused`.
 */
export async function choosePorts(
  directory: string,
  { free = false, unused = [], log }: { free?: boolean; unused?: readonly PortName[]; log: Log },
): Promise<Ports> {
  const file = join(directory, 'ports.json');
  const remembered = await readPorts(file);
  const chosen: Ports = { ...defaultPorts };
  const taken = new Set<number>();
  for (const name of portNames) {
    if (unused.includes(name)) continue;
    const wanted = free ? [remembered[name]] : [defaultPorts[name], remembered[name]];
    const port = await firstFree(wanted, taken);
    if (!free && port !== defaultPorts[name]) {
      log(`port ${defaultPorts[name]} is taken: ${name} listens on ${port} instead`);
    }
    taken.add(port);
    chosen[name] = port;
  }
  await writeFile(file, `${JSON.stringify(chosen, undefined, 2)}\n`);
  return chosen;
}

const portNames = Object.keys(defaultPorts) as readonly PortName[];

async function firstFree(
  wanted: readonly (number | undefined)[],
  taken: ReadonlySet<number>,
): Promise<number> {
  for (const port of wanted) {
    if (port !== undefined && !taken.has(port) && (await isPortFree(port))) return port;
  }
  for (;;) {
    const port = await freePort();
    if (!taken.has(port)) return port;
  }
}

async function readPorts(file: string): Promise<Partial<Record<string, number>>> {
  try {
    const value: unknown = JSON.parse(await readFile(file, 'utf8'));
    if (typeof value !== 'object' || value === null) return {};
    return Object.fromEntries(Object.entries(value).filter(([, port]) => Number.isInteger(port)));
  } catch {
    return {};
  }
}
