import { isRestricted, reachesOrganization } from '@silo/access/reach.ts';
import { holdsScope } from '@silo/access/scopes.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import type { LiveKey } from '@silo/protos/gen/silo/token/internal/v1/directory_service.ts';

/**
 * An account in either organization of a move; LEVEL_UNSPECIFIED: not a member of that
 * organization.
 */
export type Person = {
  accountId: string;
  displayName: string;
  sourceLevel: Level;
  destinationLevel: Level;
};

/** All members of both organizations of a move, and all their live keys. */
export type MoveAccess = { people: readonly Person[]; keys: readonly LiveKey[] };

/** A key that loses or gains projects of a move, and which ones. */
export type ConcernedKey = { key: LiveKey; projectIds: readonly string[] | 'all' };

/** The accounts and keys that lose, or gain, access. */
export type Concerned = { people: readonly Person[]; keys: readonly ConcernedKey[] };

export type AccessChanges = { losing: Concerned; gaining: Concerned };

/** Scopes that allow a key to access a project. */
const anyOfProjects = ['project:read'];

export type Ends = { sourceId: string; destinationId: string; projectIds: readonly string[] };

/** The projects of a move that a key reaches. */
type Reached = readonly string[] | 'all';

const nothing: Reached = [];
const areas = ['project', 'event', 'token', 'activity'] as const;

/**
 * The accounts and keys that lose or gain access to the projects of a move. An account does by its
 * membership. A key does, if its scopes concern projects, by its owner's membership and its own
 * restrictions: a key restricted to the source loses access even if its owner keeps it.
 */
export function accessChanges(move: Ends, { people, keys }: MoveAccess): AccessChanges {
  const byAccount = new Map(people.map((person) => [person.accountId, person]));
  const losing: ConcernedKey[] = [];
  const gaining: ConcernedKey[] = [];
  const moving = new Set(move.projectIds);
  for (const key of keys) {
    const owner = byAccount.get(key.accountId);
    if (owner === undefined || !concernsProjects(key)) continue;
    const before = reachedBy(key, move.sourceId, isMember(owner.sourceLevel), moving);
    const after = reachedBy(key, move.destinationId, isMember(owner.destinationLevel), moving);
    const lost = without(before, after, move.projectIds);
    const gained = without(after, before, move.projectIds);
    if (lost.length > 0) losing.push({ key, projectIds: lost });
    if (gained.length > 0) gaining.push({ key, projectIds: gained });
  }
  const losingPeople = people.filter((each) => hasOnly(each.sourceLevel, each.destinationLevel));
  const gainingPeople = people.filter((each) => hasOnly(each.destinationLevel, each.sourceLevel));
  return {
    losing: { people: losingPeople, keys: losing },
    gaining: { people: gainingPeople, keys: gaining },
  };
}

/**
 * The parts of a key that matter for a move; undefined if its access to the projects does not
 * change, or if it has none. A key may name hundreds of organizations and projects, and there may
 * be 100,000 keys.
 */
export function keyInMove(move: Ends, key: LiveKey): LiveKey | undefined {
  if (!concernsProjects(key)) return undefined;
  const { keyId, accountId, name } = key;
  const { sourceId, destinationId } = move;
  const organizationIds = key.organizationIds.filter(
    (id) => id === sourceId || id === destinationId,
  );
  const projectIds = key.projectIds.filter((id) => move.projectIds.includes(id));
  const restrictions = { organizationIds, projectIds };
  if (isRestricted(key) && !isRestricted(restrictions)) return undefined;
  return { keyId, accountId, name, scopes: anyOfProjects, ...restrictions };
}

/** Whether the scopes of a key allow any access to a project. */
function concernsProjects({ scopes }: LiveKey): boolean {
  return areas.some((area) => holdsScope(scopes, `${area}:read`));
}

function reachedBy(
  key: LiveKey,
  organizationId: string,
  ownerIsMember: boolean,
  moving: ReadonlySet<string>,
): Reached {
  if (!ownerIsMember) return nothing;
  if (!isRestricted(key) || reachesOrganization(key, organizationId)) return 'all';
  return key.projectIds.filter((id) => moving.has(id));
}

function without(from: Reached, taken: Reached, all: readonly string[]): Reached {
  if (taken === 'all') return nothing;
  if (taken.length === 0) return from;
  const left = new Set(taken);
  return (from === 'all' ? all : from).filter((id) => !left.has(id));
}

function hasOnly(one: Level, other: Level): boolean {
  return isMember(one) && !isMember(other);
}

function isMember(level: Level): boolean {
  return level !== Level.LEVEL_UNSPECIFIED;
}
