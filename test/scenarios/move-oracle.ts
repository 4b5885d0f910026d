import { ProjectState } from '@silo/protos/gen/silo/project/v1/project.ts';
import type { TestSilo } from '../harness/silo.ts';

/** The stored facts that decide the effect of a move. */
export type Facts = {
  memberships: { accountId: string; organizationId: string; level: number }[];
  organizations: { _id: string; membersMayCreateProjects: boolean }[];
  keys: {
    _id: string;
    accountId: string;
    scopes: string[];
    organizationIds: string[];
    projectIds: string[];
    disabled: boolean;
    expireTime?: Date;
  }[];
  projects: { _id: string; organizationId: string; state: ProjectState; moveId?: string }[];
  slots: { _id: string; limit: number | null; count: number }[];
};

/** Reads the facts from the databases, without RPCs. */
export async function readFacts({ mongo, databasePrefix }: TestSilo): Promise<Facts> {
  const read = async <Name extends keyof Facts>(service: string, name: string) =>
    (await mongo
      .db(`${databasePrefix}_${service}`)
      .collection(name)
      .find({}, { readConcern: { level: 'majority' } })
      .toArray()) as unknown as Facts[Name];
  const [memberships, organizations, keys, projects, slots] = await Promise.all([
    read<'memberships'>('org', 'memberships'),
    read<'organizations'>('org', 'organizations'),
    read<'keys'>('token', 'api_keys'),
    read<'projects'>('project', 'projects'),
    read<'slots'>('project', 'slots'),
  ]);
  return { memberships, organizations, keys, projects, slots };
}

export type OracleMove = { moverId: string; from: string; to: string; projectIds: string[] };

/** The effect of a move, in sorted lists. */
export type OracleOutcome = {
  /** The reasons of everything that prevents it, in order. */
  refusals: string[];
  losingMembers: string[];
  gainingMembers: string[];
  /** Each as `<key> <project>`. */
  losingKeys: string[];
  gainingKeys: string[];
  /** The organization and the move of each project. */
  places: string[];
};

/**
 * The effect of a move by the design, computed exhaustively: for every account, key and project,
 * whether there is access before and after.
 */
export function outcomeOf(facts: Facts, move: OracleMove): OracleOutcome {
  const { from, to, projectIds } = move;
  const accountIds = [...new Set(facts.memberships.map(({ accountId }) => accountId))].sort();
  const isMember = (accountId: string, organizationId: string) =>
    levelOf(facts, accountId, organizationId) > 0;
  const pairs = facts.keys
    .toSorted((a, b) => (a._id < b._id ? -1 : 1))
    .flatMap((key) => projectIds.map((projectId) => ({ key, projectId })));
  const reaches = ({ key, projectId }: (typeof pairs)[number], organizationId: string) =>
    isUsable(key) &&
    isMember(key.accountId, organizationId) &&
    ((key.organizationIds.length === 0 && key.projectIds.length === 0) ||
      key.organizationIds.includes(organizationId) ||
      key.projectIds.includes(projectId));
  const pairText = ({ key, projectId }: (typeof pairs)[number]) => `${key._id} ${projectId}`;
  return {
    refusals: refusalsOf(facts, move),
    losingMembers: accountIds.filter((id) => isMember(id, from) && !isMember(id, to)),
    gainingMembers: accountIds.filter((id) => isMember(id, to) && !isMember(id, from)),
    losingKeys: pairs
      .filter((each) => reaches(each, from) && !reaches(each, to))
      .map(pairText)
      .sort(),
    gainingKeys: pairs
      .filter((each) => reaches(each, to) && !reaches(each, from))
      .map(pairText)
      .sort(),
    places: facts.projects
      .filter(({ _id }) => projectIds.includes(_id))
      .map(({ _id, organizationId, moveId = '' }) => `${_id} ${organizationId} ${moveId}`)
      .sort(),
  };
}

function levelOf({ memberships }: Facts, accountId: string, organizationId: string): number {
  const found = memberships.find(
    (each) => each.accountId === accountId && each.organizationId === organizationId,
  );
  return found?.level ?? 0;
}

/** Whether the key is live and has a scope that concerns projects. */
function isUsable({ disabled, expireTime, scopes }: Facts['keys'][number]): boolean {
  if (disabled || (expireTime !== undefined && expireTime <= new Date())) return false;
  return scopes.some((scope) => /^(\*|(project|event|token|activity):(read|write))$/.test(scope));
}

const adminLevel = 2;

function refusalsOf(facts: Facts, { moverId, from, to, projectIds }: OracleMove): string[] {
  const moving = facts.projects.filter(({ _id }) => projectIds.includes(_id));
  const takingSlots = from === to ? 0 : moving.filter(({ state }) => state !== deleted).length;
  const source = facts.slots.find(({ _id }) => _id === from);
  const destination = facts.slots.find(({ _id }) => _id === to);
  const { membersMayCreateProjects } = facts.organizations.find(({ _id }) => _id === to) ?? {};
  const isAdminThere = levelOf(facts, moverId, to) >= adminLevel;
  const limit = destination?.limit ?? Number.POSITIVE_INFINITY;
  const refusals: string[] = [];
  if (!membersMayCreateProjects && !isAdminThere) refusals.push('ADMIN_REQUIRED');
  if (takingSlots > 0 && (source?.count ?? 0) <= takingSlots) refusals.push('LAST_PROJECT');
  if (from === to) refusals.push('ALREADY_THERE');
  if (takingSlots > 0 && (destination?.count ?? 0) + takingSlots > limit) {
    refusals.push('PROJECT_LIMIT');
  }
  if (moving.some(({ state }) => state !== ProjectState.PROJECT_STATE_ACTIVE)) {
    refusals.push('PROJECT_NOT_ACTIVE');
  }
  return refusals;
}

const deleted = ProjectState.PROJECT_STATE_DELETED;
