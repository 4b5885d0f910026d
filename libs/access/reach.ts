import { holdsScope } from './scopes.ts';

/** The access of a key: what it may do, where, and until when. */
export type Reach = {
  scopes: readonly string[];
  /** Restrictions; a key with neither kind is not restricted. */
  organizationIds: readonly string[];
  projectIds: readonly string[];
  /** Undefined if it does not expire. */
  expireTime?: Date | undefined;
};

/** The part of a key's access that exceeds another's: its scopes, restrictions or expiry. */
export type Dimension = 'scopes' | 'restrictions' | 'expire_time';

/**
 * The organizations and projects to which a key is restricted; a key with neither is not
 * restricted.
 */
export type Restrictions = Pick<Reach, 'organizationIds' | 'projectIds'>;

/** Whether a key is restricted to organizations or projects. */
export function isRestricted({ organizationIds, projectIds }: Restrictions): boolean {
  return organizationIds.length > 0 || projectIds.length > 0;
}

/** Whether a key's restrictions let it reach an organization as such. */
export function reachesOrganization(key: Restrictions, organizationId: string): boolean {
  return !isRestricted(key) || key.organizationIds.includes(organizationId);
}

/** Whether a key's restrictions let it reach a project that this organization owns. */
export function reachesProject(
  key: Restrictions,
  projectId: string,
  organizationId: string,
): boolean {
  return reachesOrganization(key, organizationId) || key.projectIds.includes(projectId);
}

/** The part of the requested access that exceeds the other; undefined if none does. */
export function exceeds(requested: Reach, own: Reach): Dimension | undefined {
  if (!requested.scopes.every((scope) => holdsScope(own.scopes, scope))) return 'scopes';
  if (!isWithinRestrictions(requested, own)) return 'restrictions';
  if (!isWithinExpiry(requested.expireTime, own.expireTime)) return 'expire_time';
  return undefined;
}

// A project is within a restriction only if the restriction names the project itself, because the
// projects of an organization change with every move.
function isWithinRestrictions(requested: Reach, own: Reach): boolean {
  if (!isRestricted(own)) return true;
  if (!isRestricted(requested)) return false;
  return (
    requested.organizationIds.every((id) => own.organizationIds.includes(id)) &&
    requested.projectIds.every((id) => own.projectIds.includes(id))
  );
}

function isWithinExpiry(requested: Date | undefined, own: Date | undefined): boolean {
  if (own === undefined) return true;
  return requested !== undefined && requested <= own;
}
