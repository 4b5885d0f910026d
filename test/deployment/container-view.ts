import { mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { writePrivateFile } from '@silo/embedded/passwords.ts';
import { freePort } from '@silo/embedded/ports.ts';
import { type ComposeService, repository } from './compose.ts';

/** The ports of compose's containers, and the ports that processes use instead. */
export class Ports {
  readonly #file: string;
  readonly #chosen: Map<string, number>;

  private constructor(file: string, chosen: Map<string, number>) {
    this.#file = file;
    this.#chosen = chosen;
  }

  /** The ports of the last run, because the replica set knows its members by them. */
  static async open(directory: string): Promise<Ports> {
    const file = join(directory, 'ports.json');
    const text = await readFile(file, 'utf8').catch(() => '{}');
    return new Ports(file, new Map(Object.entries<number>(JSON.parse(text))));
  }

  /** Chooses a port for each address that a service names, and stores it. */
  async choose(services: readonly ComposeService[]): Promise<void> {
    const names = new Set(services.map(({ name }) => name));
    for (const service of services) {
      for (const text of textsOf(service)) {
        for (const [, host = '', port] of text.matchAll(address)) {
          const key = `${names.has(host) ? host : service.network}:${port}`;
          if (/^(0\.0\.0\.0|127\.0\.0\.1)$/.test(host) || names.has(host)) {
            if (!this.#chosen.has(key)) this.#chosen.set(key, await freePort());
          }
        }
      }
    }
    await writeFile(this.#file, `${JSON.stringify(Object.fromEntries(this.#chosen))}\n`);
  }

  /** The port of this machine for a port of a container. */
  of(service: string, port: number): number {
    const found = this.#chosen.get(`${service}:${port}`);
    if (found === undefined)
      throw new Error(`compose: no service names port ${port} of ${service}`);
    return found;
  }

  /** A text of a service with the addresses of this machine. */
  translate({ network }: ComposeService, text: string): string {
    return text.replaceAll(address, (all, host, port) => {
      const own = this.#chosen.get(`${/^[\d.]+$/.test(host) ? network : host}:${port}`);
      return own === undefined ? all : `127.0.0.1:${own}`;
    });
  }
}

/** `host:port`, if the host is a service of compose, 0.0.0.0 or 127.0.0.1. */
const address = /(?<![\w.-])([a-z0-9][a-z0-9.-]*):(\d{4,5})(?!\d)/g;

function textsOf(service: ComposeService): string[] {
  return [
    ...Object.values(service.environment),
    ...service.command,
    ...(service.healthCheck ?? []),
  ];
}

/** Paths of a container that are elsewhere on this machine. */
const containerPath = /(?<![\w/.-])\/(?:run\/secrets|etc|data|tmp|silo)(?=\/|$)/g;

/**
 * Creates what a container sees: its configuration and secrets, its volumes, `/tmp`. They are
 * links, except for URLs, which get the addresses of this machine. Returns a function that
 * translates a text of the container for this machine.
 */
export async function layOut(
  service: ComposeService,
  { directory, ports }: { directory: string; ports: Ports },
): Promise<(text: string) => string> {
  const root = join(directory, 'containers', service.name);
  const translate = (text: string) =>
    ports
      .translate(service, text)
      .replaceAll(containerPath, (path) => (path === '/silo' ? repository : join(root, path)));
  await rm(root, { recursive: true, force: true });
  await mkdir(join(root, 'tmp'), { recursive: true });
  for (const [path, file] of service.files) {
    const place = join(root, path);
    await mkdir(dirname(place), { recursive: true });
    if (path.endsWith('-url'))
      await writePrivateFile(place, translate(await readFile(file, 'utf8')));
    else await symlink(file, place);
  }
  for (const [path, volume] of service.volumes) {
    await mkdir(join(directory, 'volumes', volume), { recursive: true });
    await mkdir(dirname(join(root, path)), { recursive: true });
    await symlink(join(directory, 'volumes', volume), join(root, path));
  }
  return translate;
}
