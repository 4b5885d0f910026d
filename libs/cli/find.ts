import { status } from '@grpc/grpc-js';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import type { Account } from '@silo/protos/gen/silo/org/v1/account_service.ts';
import type { Invite, Member, Organization } from '@silo/protos/gen/silo/org/v1/organization.ts';
import { type Project, ProjectState } from '@silo/protos/gen/silo/project/v1/project.ts';
import type { FoundProject } from '@silo/protos/gen/silo/project/v1/project_service.ts';
import type { ApiKey } from '@silo/protos/gen/silo/token/v1/api_key_service.ts';
import { fold } from '@silo/runtime/fold.ts';
import { type IdKind, isId } from '@silo/tokens/ids.ts';
import { adviceElsewhere } from './advice.ts';
import { type Api, everyPage } from './api.ts';
import { chooseOf, chooseProject } from './choose.ts';
import { CallFailure, Failure, usage } from './failure.ts';
import { findMove } from './find-move.ts';
import { migratedAway, namesOfMigrated } from './migrated-projects.ts';
import { personText } from './names.ts';
import type { Prompts } from './prompt.ts';

/**
 * Finds what the command line names by id or name; without an argument, the current project or
 * organization.
 */
export type Find = ReturnType<typeof createFind>;

/** Returns a field that every reply must contain. */
export function present<Value>(value: Value | undefined): Value {
  if (value === undefined) throw new Error('Silo sent an empty answer');
  return value;
}

export function createFind(api: Api, prompt: Prompts, region: string) {
  async function account(): Promise<Account> {
    return present((await api.accounts.getAccount({})).account);
  }

  /**
   * Ids are used without a look-up, because a retried request may name a resource that no longer
   * exists. Names are looked up.
   */
  const idOf = {
    project: async (given: string | undefined) =>
      given !== undefined && isId('project', given) ? given : (await project(given)).id,
    chosenProject: async (given: string | undefined) =>
      given !== undefined && isId('project', given) ? given : (await chosenProject(given)).id,
    organization: async (given: string | undefined) =>
      given !== undefined && isId('organization', given) ? given : (await organization(given)).id,
    chosenOrganization: async (given: string | undefined) =>
      given !== undefined && isId('organization', given)
        ? given
        : (await chosenOrganization(given)).id,
    member: async (organizationId: string, given: string | undefined) =>
      given !== undefined && isId('account', given)
        ? given
        : (await member(organizationId, given)).accountId,
    key: async (given: string | undefined) =>
      given !== undefined && isId('key', given) ? given : (await key(given)).id,
    invite: async (organizationId: string, given: string | undefined) =>
      given !== undefined && isId('invite', given)
        ? given
        : (await invite(organizationId, given)).id,
  };

  /**
   * Finds a project by id, name or `Organization/Name`. Without an argument: the current one, or
   * one that the user chooses.
   */
  async function project(given: string | undefined): Promise<Project> {
    const id = given ?? (await account()).currentProjectId;
    if (id === '') {
      if (prompt.possible) return chosenProject(undefined);
      throw usage(
        'Which project? You have not chosen one to work in.',
        'name one, or: silo switch',
      );
    }
    if (isId('project', id))
      return present((await api.projects.getProject({ projectId: id })).project);
    return present((await projectNamed(id)).project);
  }

  /**
   * The same, but without an argument the user chooses: for actions that should not default to the
   * current project.
   */
  async function chosenProject(given: string | undefined, message = 'Which project?') {
    if (given !== undefined) return project(given);
    const { currentProjectId: currentId } = await account();
    return chooseProject(api, prompt, { message, currentId });
  }

  async function projectNamed(name: string): Promise<FoundProject> {
    const query = name.slice(name.indexOf('/') + 1) || name;
    const pages = await everyPage((page) => api.projects.searchProjects({ query, ...page }));
    const found = pages.flatMap(({ results }) => results);
    const called = ({ project, organizationName }: FoundProject) => [
      project?.name ?? '',
      `${organizationName}/${project?.name}`,
    ];
    if (found.every((each) => !isCalled(name, called(each)))) {
      await refuseMigrated(name);
      refuseSimilar(
        name,
        found.map((each) => called(each).at(-1) ?? ''),
      );
    }
    return only('project', name, found, called, ({ project }) => project?.id ?? '');
  }

  /** Refuses a project that is in another region, and says in which. */
  async function refuseMigrated(name: string): Promise<void> {
    const away = await migratedAway(api, region);
    const migrated = away.find((each) => isCalled(name, namesOfMigrated(each)));
    if (migrated === undefined) return;
    const { projectName, destinationRegion: there } = migrated.migration;
    const why = `"${projectName}" has migrated to the region ${there}.`;
    throw new Failure('refused', why, adviceElsewhere(there));
  }

  /** Deleted projects that the caller can still undelete. */
  async function deletedProjects(): Promise<{ project: Project; organizationName: string }[]> {
    const found: { project: Project; organizationName: string }[] = [];
    for (const { id: organizationId, name, level } of await organizations()) {
      if (level < Level.LEVEL_ADMIN) continue;
      const pages = await everyPage((page) =>
        api.projects.listProjects({ organizationId, showDeleted: true, ...page }),
      );
      for (const each of pages.flatMap(({ projects }) => projects)) {
        if (each.state !== ProjectState.PROJECT_STATE_DELETED) continue;
        found.push({ project: each, organizationName: name });
      }
    }
    return found;
  }

  /**
   * The id of a deleted project, by id or by name as in `project`; or of one that the user chooses.
   */
  async function deletedProjectId(given: string | undefined): Promise<string> {
    if (given !== undefined && isId('project', given)) return given;
    const found = await deletedProjects();
    if (given === undefined) {
      const { project } = await chooseOf(prompt, {
        message: 'Which deleted project?',
        things: found,
        listed: (each) => ({ name: `${each.project.name} — ${each.organizationName}` }),
        instead: 'name the project.',
        none: 'silo projects',
      });
      return project.id;
    }
    const called = ({ project: { name }, organizationName }: (typeof found)[number]) => [
      name,
      `${organizationName}/${name}`,
    ];
    return only('deleted project', given, found, called, ({ project: { id } }) => id).project.id;
  }

  /**
   * Finds an organization by id or name. Without an argument: that of the current project, or the
   * only one.
   */
  async function organization(given: string | undefined): Promise<Organization> {
    if (given !== undefined && isId('organization', given)) return organizationOf(given);
    if (given === undefined) {
      const { currentProjectId } = await account();
      const current = currentProjectId && (await ownerOf(currentProjectId));
      if (current) return organizationOf(current);
    }
    const found = await organizations();
    if (given !== undefined) return only('organization', given, found, ({ name }) => [name], ownId);
    const [first, ...others] = found;
    if (first === undefined) throw usage('You are in no organization.', 'silo org create NAME');
    if (others.length === 0) return first;
    if (prompt.possible) return chosenOrganization(undefined);
    throw usage(
      'Which organization?',
      `--org with one of: ${found.map(({ name }) => name).join(', ')}`,
    );
  }

  /** The same, but without an argument the user chooses. */
  async function chosenOrganization(given: string | undefined): Promise<Organization> {
    if (given !== undefined) return organization(given);
    return chooseOf(prompt, {
      message: 'Which organization?',
      things: prompt.possible ? await organizations() : [],
      listed: ({ name }) => ({ name }),
      instead: 'name the organization.',
      none: 'silo org create NAME',
    });
  }

  /** The scope of a list: a project or an organization. */
  async function target(given: {
    org?: string | undefined;
    project?: string | undefined;
  }): Promise<{ organizationId: string; projectId: string }> {
    if (given.project === undefined) {
      return { organizationId: await idOf.organization(given.org), projectId: '' };
    }
    if (given.org !== undefined) throw usage('Give --org or --project, not both.');
    return { organizationId: '', projectId: await idOf.project(given.project) };
  }

  async function organizationOf(organizationId: string): Promise<Organization> {
    return present((await api.organizations.getOrganization({ organizationId })).organization);
  }

  async function organizations(): Promise<Organization[]> {
    const pages = await everyPage((page) => api.organizations.listOrganizations(page));
    return pages.flatMap((page) => page.organizations);
  }

  /** The organization of a project; undefined if the caller can no longer see the project. */
  async function ownerOf(projectId: string): Promise<string | undefined> {
    try {
      return (await api.projects.getProject({ projectId })).project?.organizationId;
    } catch (error) {
      if (isHidden(error)) return undefined;
      throw error;
    }
  }

  /**
   * Finds a member by account id or e-mail; not by name, because members choose their names freely.
   */
  async function member(organizationId: string, given: string | undefined): Promise<Member> {
    const pages = await everyPage((page) =>
      api.organizations.listMembers({ organizationId, ...page }),
    );
    const found = pages.flatMap(({ members }) => members);
    if (given === undefined) {
      return chooseOf(prompt, {
        message: 'Which member?',
        things: found,
        listed: (each) => ({ name: personText(each) }),
        instead: 'name the member by e-mail.',
        none: 'silo members invite',
      });
    }
    const called = ({ accountId, email }: Member) => [accountId, email];
    return only('member', given, found, called, ({ accountId }) => accountId);
  }

  /** Finds an open invite by id or e-mail, or lets the user choose. */
  async function invite(organizationId: string, given: string | undefined): Promise<Invite> {
    const pages = await everyPage((page) =>
      api.organizations.listInvites({ organizationId, ...page }),
    );
    const found = pages.flatMap(({ invites }) => invites);
    if (given !== undefined) return only('invite', given, found, ({ email }) => [email], ownId);
    return chooseOf(prompt, {
      message: 'Which invite?',
      things: found,
      listed: ({ email }) => ({ name: email }),
      instead: 'name the invite by e-mail.',
      none: 'silo members invite',
    });
  }

  /** Finds one of the account's own keys by id or name, or lets the user choose. */
  async function key(given: string | undefined): Promise<ApiKey> {
    if (given !== undefined && isId('key', given)) {
      return present((await api.apiKeys.getApiKey({ keyId: given })).apiKey);
    }
    const pages = await everyPage((page) => api.apiKeys.listApiKeys(page));
    const found = pages.flatMap(({ apiKeys }) => apiKeys);
    if (given !== undefined) return only('key', given, found, ({ name }) => [name], ownId);
    return chooseOf(prompt, {
      message: 'Which key?',
      things: found,
      listed: ({ name, masked }) => ({ name: `${name} (${masked})` }),
      instead: 'name the key.',
      none: 'silo keys create NAME',
    });
  }

  return {
    idOf,
    account,
    project,
    chosenProject,
    deletedProjects,
    deletedProjectId,
    organization,
    chosenOrganization,
    target,
    organizations,
    organizationOf,
    member,
    key,
    move: (given: string | undefined, wanted?: 'undo' | 'finalize') =>
      findMove({ api, prompt, project, organizations, account }, given, wanted),
  };
}

function ownId({ id }: { id: string }): string {
  return id;
}

/** Refuses an unknown name and suggests similar ones, if there are any. */
function refuseSimilar(given: string, fullNames: readonly string[]): void {
  if (fullNames.length === 0) return;
  const shown = fullNames.slice(0, similarMax).map((name) => `"${name}"`);
  const why = `There is no project "${given}" that you may see.`;
  throw new Failure('hidden', why, `one of these? ${shown.join(', ')}; all: silo projects`);
}

function isCalled(given: string, names: readonly string[]): boolean {
  return names.some((name) => fold(name) === fold(given));
}

function isHidden(error: unknown): boolean {
  return error instanceof CallFailure && error.refusal?.code === status.NOT_FOUND;
}

// A longer list of suggestions does not help.
const similarMax = 3;

/** Kinds of things that a name on the command line may refer to. */
type Kind = IdKind | 'member' | 'deleted project';

/**
 * The one thing with this name: an exact match, else a match in any case and normal form. The last
 * name of a thing is its full one.
 */
function only<Thing>(
  kind: Kind,
  given: string,
  things: readonly Thing[],
  called: (thing: Thing) => string[],
  id: (thing: Thing) => string,
): Thing {
  const exact = things.filter((thing) => called(thing).includes(given));
  const wanted = fold(given);
  const close = things.filter((thing) => called(thing).some((name) => fold(name) === wanted));
  const [first, ...others] = exact.length > 0 ? exact : close;
  if (first === undefined) {
    throw new Failure(
      'hidden',
      `There is no ${kind} "${given}" that you may see.`,
      listCommands[kind],
    );
  }
  if (others.length === 0) return first;
  const fullNames = [first, ...others].map((thing) => called(thing).at(-1) ?? id(thing));
  const isUnique = new Set(fullNames.map(fold)).size === fullNames.length;
  const next = isUnique
    ? `name it as one of: ${fullNames.map((name) => `"${name}"`).join(', ')}`
    : `name it by id, one of: ${[first, ...others].map(id).join(', ')}`;
  throw usage(`Several are called "${given}".`, next);
}

const listCommands: Partial<Record<Kind, string>> = {
  project: 'silo projects, or silo projects --deleted for those that can be undeleted',
  'deleted project': 'silo projects --deleted',
  organization: 'silo org list',
  member: 'silo members list',
  invite: 'silo members invites',
  key: 'silo keys list',
};
