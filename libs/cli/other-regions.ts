import { fold } from '@silo/runtime/fold.ts';
import { isId, regionOf } from '@silo/tokens/ids.ts';
import { type Api, everyPage } from './api.ts';
import { chooseOf } from './choose.ts';
import type { Cli } from './cli.ts';
import { CallFailure, Failure, usage } from './failure.ts';
import { type NameOf, namesFrom } from './names.ts';

/** An organization in another region that a stored profile of that region can see. */
type Elsewhere = { id: string; name: string; region: string; profile: string };

const none = 'give its id, org_…, or sign in there: silo login --profile NAME';

/** What the stored profiles of other regions can see. Leaves out regions that cannot be reached. */
async function elsewhere<Seen>(
  cli: Cli,
  read: (api: Api, profile: { name: string; region: string }) => Promise<Seen[]>,
): Promise<Seen[]> {
  const { profile: own } = await cli.signedIn();
  const names = await cli.profiles.names();
  const found = await Promise.all(
    names.map(async (name) => {
      const profile = await cli.profiles.read(name).catch(() => undefined);
      if (profile === undefined || profile.region === own.region) return [];
      const api = cli.connect(profile, profile.apiKey);
      return await read(api, { name, region: profile.region }).catch(orNothing);
    }),
  );
  return found.flat();
}

/** The organizations in other regions. */
async function organizationsElsewhere(cli: Cli): Promise<Elsewhere[]> {
  return await elsewhere(cli, async ({ organizations }, { name: profile, region }) => {
    const pages = await everyPage((page) => organizations.listOrganizations(page));
    const all = pages.flatMap((page) => page.organizations);
    return all.map(({ id, name }) => ({ id, name, profile, region }));
  });
}

/** The ids of the projects in other regions whose name is now this one, or `Organization/Name`. */
export async function projectIdsElsewhere(cli: Cli, name: string): Promise<string[]> {
  const query = name.slice(name.indexOf('/') + 1) || name;
  return await elsewhere(cli, async ({ projects }) => {
    const pages = await everyPage((page) => projects.searchProjects({ query, ...page }));
    return pages
      .flatMap(({ results }) => results)
      .filter(({ project, organizationName }) =>
        [project?.name ?? '', `${organizationName}/${project?.name}`].some(
          (called) => fold(called) === fold(name),
        ),
      )
      .flatMap(({ project }) => project?.id ?? []);
  });
}

/** The stored profile of a region; undefined if there is none or more than one. */
async function profileIn({ profiles }: Cli, region: string): Promise<string | undefined> {
  const names = await profiles.names();
  const found = await Promise.all(
    names.map(async (name) => (await profiles.read(name).catch(() => undefined))?.region),
  );
  const there = names.filter((_, index) => found[index] === region);
  return there.length === 1 ? there[0] : undefined;
}

function orNothing(error: unknown): never[] {
  if (error instanceof CallFailure || error instanceof Failure) return [];
  throw error;
}

/**
 * The destination of a migration: by id, by a name that a profile of another region can see, or
 * chosen by the user.
 */
export async function organizationElsewhere(
  cli: Cli,
  given: string | undefined,
): Promise<{ id: string; region: string; profile?: string | undefined }> {
  if (given !== undefined && isId('organization', given)) {
    const region = regionOf(given) ?? '';
    return { id: given, region, profile: await profileIn(cli, region) };
  }
  const all = given === undefined && !cli.prompt.possible ? [] : await organizationsElsewhere(cli);
  if (given === undefined) {
    return await chooseOf(cli.prompt, {
      message: 'Migrate to:',
      things: all,
      listed: ({ name, region }) => ({ name: `${name} (${region})` }),
      ...{ instead: 'give --to.', none },
    });
  }
  const exact = all.filter(({ name }) => name === given);
  const found = exact.length > 0 ? exact : all.filter(({ name }) => fold(name) === fold(given));
  // Two profiles may see the same organization.
  const [first, ...others] = new Map(found.map((each) => [each.id, each])).values();
  if (first === undefined) {
    const why = `No profile of another region sees an organization "${given}".`;
    throw new Failure('hidden', why, none);
  }
  if (others.length === 0) return first;
  const ids = [first, ...others].map(({ id }) => id).join(', ');
  throw usage(`Several are called "${given}".`, `name it by id, one of: ${ids}`);
}

/**
 * The names of these ids, including organizations in other regions that the stored profiles can
 * see.
 */
export async function namesEverywhere(
  cli: Cli,
  ids: readonly string[],
  organizationIds: readonly string[],
): Promise<NameOf> {
  const { profile, lookUp } = await cli.signedIn();
  if (cli.globals().json) return namesFrom(new Map());
  const isElsewhere = (id: string) => isId('organization', id) && regionOf(id) !== profile.region;
  const own = organizationIds.filter((id) => !isElsewhere(id));
  const [nameOf, elsewhere] = await Promise.all([
    lookUp([...ids], own),
    ids.some(isElsewhere) ? organizationsElsewhere(cli) : [],
  ]);
  const names = new Map(elsewhere.map(({ id, name }) => [id, name]));
  return (id) => (names.has(id) ? { text: names.get(id) ?? id, id } : nameOf(id));
}
