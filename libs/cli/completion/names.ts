import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import type { FoundProject } from '@silo/protos/gen/silo/project/v1/project_service.ts';
import type { Cli } from '../cli.ts';

/** Kinds of things whose names are completed; the arguments of commands have the same names. */
export const nameKinds = ['project', 'organization', 'key'] as const;
export type NameKind = (typeof nameKinds)[number];
export type Names = Readonly<Record<NameKind, readonly string[]>>;

type Cached = { accountId: string; untilMs: number; names: Names };

const keptMs = 60_000;
const fetchMaxMs = 1_500;
const page = { pageSize: 1_000, pageToken: '' };
/**
 * A name that every shell inserts unchanged within its quotes. A leading "-" would make it an
 * option, and fish expands a leading "~". Silo refuses control characters in names.
 */
const offeredName = /^[^-~\p{Cc}][^\p{Cc}]*$/u;
/** A name that needs no quotes in any shell. */
const plainName = /^[\p{L}\p{N}_][\p{L}\p{N}_.@-]*$/u;

export const noNames: Names = { project: [], organization: [], key: [] };

/**
 * The names of the chosen profile's projects, organizations and keys, at most 1,000 of each, cached
 * in a file for a minute. Empty if Silo does not answer within 1.5 s. Leaves out names that need
 * quotes if the shell's script does not quote.
 */
export async function readNames(cli: Cli, isQuoted: boolean): Promise<Names> {
  const names = await cachedNames(cli);
  const pattern = isQuoted ? offeredName : plainName;
  const matching = (each: readonly string[]) => each.filter((name) => pattern.test(name));
  return {
    project: matching(names.project),
    organization: matching(names.organization),
    key: matching(names.key),
  };
}

async function cachedNames(cli: Cli): Promise<Names> {
  const { name, profile, api } = await cli.signedIn();
  const { environment } = cli.terminal;
  const base = environment.XDG_CACHE_HOME || join(environment.HOME || homedir(), '.cache');
  const file = join(base, 'silo', `names-${name}.json`);
  const accountId = profile.account.id;
  const cached = await readFile(file, 'utf8').then(parse, () => undefined);
  if (cached?.accountId === accountId && cached.untilMs > Date.now()) return cached.names;
  const fetched = Promise.all([
    api.projects.searchProjects({ query: '', ...page }),
    api.organizations.listOrganizations(page),
    api.apiKeys.listApiKeys(page),
  ]).then(([{ results }, { organizations }, { apiKeys }]) => ({
    project: projectNames(results),
    organization: organizations.map((each) => each.name),
    key: apiKeys.map((each) => each.name),
  }));
  const given = Promise.withResolvers<Names>();
  const timer = setTimeout(() => given.resolve(noNames), fetchMaxMs);
  const names = await Promise.race([fetched.catch(() => noNames), given.promise]);
  clearTimeout(timer);
  await write(file, { accountId, untilMs: Date.now() + keptMs, names });
  return names;
}

/**
 * Each project name; names that several projects share are followed by their full names, with the
 * organization.
 */
function projectNames(found: readonly FoundProject[]): string[] {
  const byName = Map.groupBy(found, ({ project }) => project?.name ?? '');
  return [...byName].flatMap(([name, projects]) =>
    projects.length === 1
      ? [name]
      : [name, ...projects.map(({ organizationName }) => `${organizationName}/${name}`)],
  );
}

/** Undefined if the file does not hold cached names. */
function parse(text: string): Cached | undefined {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function write(file: string, cached: Cached): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const temporary = `${file}.${process.pid}`;
  await writeFile(temporary, JSON.stringify(cached), { mode: 0o600 });
  await rename(temporary, file);
}
