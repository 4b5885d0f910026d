import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import {
  access,
  chmod,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { ServiceName } from '@silo/service/config.ts';
import { usage } from './failure.ts';

/** The addresses of a deployment. */
export type Deployment = {
  region: string;
  /** Path of the certificate authority's certificate, PEM. */
  ca: string;
  /** `host:port` of each service's public port. */
  services: Record<ServiceName, string>;
};

/** A deployment, and the API key of one account in it. */
export type Profile = Deployment & {
  account: { id: string; email: string };
  apiKey: string;
  /** A pending roll of this key, whose answer, the new secret, has not arrived. */
  rolling?: Rolling | undefined;
};

/**
 * A request that rolls a key. Its id is as secret as the key, because it gives access to the new
 * one.
 */
export type Rolling = {
  keyId: string;
  name: string;
  etag: string;
  overlapSeconds: number;
  requestId: string;
};

const profileNamePattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const openToOthers = 0o077;

/** The stored profiles of one user: each a file that only its owner may read. */
export class Profiles {
  readonly #directory: string;

  /** `$XDG_CONFIG_HOME/silo`, by default `~/.config/silo`. */
  constructor(environment: NodeJS.ProcessEnv) {
    const base = environment.XDG_CONFIG_HOME || join(environment.HOME || homedir(), '.config');
    this.#directory = join(base, 'silo');
  }

  file(name: string): string {
    if (!profileNamePattern.test(name)) {
      throw usage(`"${name}" is not a name for a profile: use letters, digits, ".", "_" and "-".`);
    }
    return join(this.#directory, 'profiles', `${name}.json`);
  }

  async names(): Promise<string[]> {
    const entries = await readdir(join(this.#directory, 'profiles')).catch(orNothing);
    return (entries ?? [])
      .filter((entry) => entry.endsWith('.json'))
      .map((entry) => entry.slice(0, -'.json'.length))
      .filter((name) => profileNamePattern.test(name))
      .sort();
  }

  /** The profile of that name; undefined if there is none. */
  async read(name: string): Promise<Profile | undefined> {
    const file = this.file(name);
    const text = await readFile(file, 'utf8').catch(orNothing);
    if (text === undefined) return undefined;
    const { mode } = await stat(file);
    if ((mode & openToOthers) !== 0) {
      throw usage(`Other users may read ${file}, which holds a key.`, `chmod 600 ${file}`);
    }
    try {
      return JSON.parse(text);
    } catch {
      throw usage(`${file} is damaged.`, `silo login --profile ${name}`);
    }
  }

  /** Checks that a profile can be written. */
  async prepare(): Promise<void> {
    const directory = join(this.#directory, 'profiles');
    try {
      await mkdir(directory, { recursive: true, mode: 0o700 });
      await chmod(directory, 0o700);
      await access(directory, constants.W_OK);
    } catch (error) {
      const why = error instanceof Error ? error.message : error;
      throw usage(`Nothing can be stored in ${directory}: ${why}`);
    }
  }

  /** Writes a profile atomically, readable by its owner only. */
  async write(name: string, profile: Profile): Promise<void> {
    await this.#put(this.file(name), `${JSON.stringify(profile, undefined, 2)}\n`);
  }

  /** Returns whether the profile existed. */
  async remove(name: string): Promise<boolean> {
    const there = (await this.names()).includes(name);
    await rm(this.file(name), { force: true });
    if ((await this.current()) === name) await rm(this.#currentFile(), { force: true });
    return there;
  }

  /** The profile that is used if none is named: the last chosen, or the only one. */
  async current(): Promise<string | undefined> {
    const names = await this.names();
    const chosen = (await readFile(this.#currentFile(), 'utf8').catch(orNothing))?.trim();
    if (chosen !== undefined && names.includes(chosen)) return chosen;
    return names.length === 1 ? names[0] : undefined;
  }

  async choose(name: string): Promise<void> {
    await this.#put(this.#currentFile(), `${name}\n`);
  }

  #currentFile(): string {
    return join(this.#directory, 'current');
  }

  async #put(file: string, text: string): Promise<void> {
    await this.prepare();
    const draft = `${file}.${randomUUID()}.tmp`;
    // `wx` never writes through a link that somebody else has placed there.
    await writeFile(draft, text, { mode: 0o600, flag: 'wx' });
    await rename(draft, file);
  }
}

function orNothing(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
  throw usage(error.message);
}
