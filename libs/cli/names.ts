import { isId } from '@silo/tokens/ids.ts';
import type { Api } from './api.ts';
import { type Span, textOf } from './text.ts';

/** The name of the thing with this id, for people; where ids are shown, the id follows it. */
export type NameOf = (id: string) => Span;

/**
 * Reads the names of the things with these ids. Accounts are found among the members of
 * organizations.
 */
export type LookUp = (
  ids: readonly string[],
  organizationIds?: readonly string[],
) => Promise<NameOf>;

type Names = ReadonlyMap<string, string>;

// Time limit of the look-up; names that were not read by then are shown as ids.
const withinMs = 5_000;
const pagesMax = 10;
const organizationsMax = 20;

/** Falls back to the id if there is no name. */
export function namesFrom(names: Names): NameOf {
  return (id) => ({ text: names.get(id) || id, id });
}

/** A thing by its name. */
export function named({ id, name }: { id: string; name: string }): Span {
  return { text: name, id };
}

/** The names of several things as one piece of text, with their ids. */
export function listOf(nameOf: NameOf, ids: readonly string[]): Span {
  return { text: ids.map((id) => textOf(nameOf(id))).join(', '), id: ids.join(' ') };
}

/**
 * Looks names up with the rights of the caller, whose account is `own`. Shows an id where the
 * caller may not see the name, or where the look-up takes too long or is interrupted: names often
 * belong to the answer to a change that has been made, and must not prevent that answer.
 */
export function createLookUp(
  api: Api,
  own: { id: string; email: string },
  deadline = () => AbortSignal.timeout(withinMs),
): LookUp {
  return async (ids, organizationIds = []) => {
    const options = { signal: deadline() };
    const wants = (kind: Parameters<typeof isId>[0]) => ids.some((id) => isId(kind, id));
    const within = [...new Set(organizationIds)].filter((id) => id !== '');
    const found = await Promise.all([
      wants('organization') ? organizationNames(api, options) : [],
      wants('project') ? projectNames(api, options) : [],
      ...within
        .slice(0, organizationsMax)
        .flatMap((organizationId) => [
          wants('account') ? memberNames(api, organizationId, options) : [],
          wants('invite') ? inviteNames(api, organizationId, options) : [],
        ]),
    ]);
    return namesFrom(new Map([[own.id, own.email], ...found.flat()]));
  };
}

type Named = [id: string, name: string];
type Options = { signal: AbortSignal };

function organizationNames(api: Api, options: Options): Promise<Named[]> {
  return seen(async (page) => {
    const { organizations, nextPageToken } = await api.organizations.listOrganizations(
      page,
      options,
    );
    return { named: organizations.map(({ id, name }) => [id, name]), nextPageToken };
  });
}

/** Names as the command line accepts them: with the organization if two projects share a name. */
async function projectNames(api: Api, options: Options): Promise<Named[]> {
  const owners = new Map<string, string>();
  const named = await seen(async (page) => {
    const { results, nextPageToken } = await api.projects.searchProjects(
      { query: '', ...page },
      options,
    );
    for (const { project, organizationName } of results) {
      owners.set(project?.id ?? '', organizationName);
    }
    return {
      named: results.map(({ project }) => [project?.id ?? '', project?.name ?? '']),
      nextPageToken,
    };
  });
  const counts = new Map<string, number>();
  for (const [, name] of named) counts.set(name, (counts.get(name) ?? 0) + 1);
  return named.map(([id, name]) => [
    id,
    counts.get(name) === 1 ? name : `${owners.get(id)}/${name}`,
  ]);
}

function memberNames(api: Api, organizationId: string, options: Options): Promise<Named[]> {
  return seen(async (page) => {
    const { members, nextPageToken } = await api.organizations.listMembers(
      { organizationId, ...page },
      options,
    );
    return { named: members.map((each) => [each.accountId, personText(each)]), nextPageToken };
  });
}

function inviteNames(api: Api, organizationId: string, options: Options): Promise<Named[]> {
  return seen(async (page) => {
    const { invites, nextPageToken } = await api.organizations.listInvites(
      { organizationId, ...page },
      options,
    );
    return { named: invites.map(({ id, email }) => [id, email]), nextPageToken };
  });
}

/** Members choose their names freely, so the e-mail is shown too. */
export function personText({ displayName, email }: { displayName: string; email: string }): string {
  return email === '' ? displayName : `${displayName} (${email})`;
}

type Page = { pageSize: number; pageToken: string };

/** The names that could be read: an answer without names is better than none. */
async function seen(
  readPage: (page: Page) => Promise<{ named: Named[]; nextPageToken: string }>,
): Promise<Named[]> {
  const found: Named[] = [];
  let pageToken = '';
  try {
    for (let pages = 0; pages < pagesMax; pages++) {
      const { named, nextPageToken } = await readPage({ pageSize: 1_000, pageToken });
      found.push(...named);
      pageToken = nextPageToken;
      if (pageToken === '') break;
    }
  } catch {
    // A failed look-up is not a failure of the command.
  }
  return found;
}
