import { holdsScope } from './scopes.ts';

/** How far a key reaches: what it may do, where, and until when. */
export type Reach = {
  scopes: readonly string[];
  /** Restrictions; a key that names neither kind is not restricted. */
  organizationIds: readonly string[];
  projectIds: readonly string[];
  /** Undefined: it never expires. */
  expireTime?: Date | undefined;
};

/** In what one key may go beyond another. */
export type Dimension = 'scopes' | 'restrictions' | 'expire_time';

/** What a key is restricted to; to nothing where it names neither. */
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

/** In what the one reach goes beyond the other; undefined if it lies within. */
export function exceeds(requested: Reach, own: Reach): Dimension | undefined {
  if (!requested.scopes.every((scope) => holdsScope(own.scopes, scope))) return 'scopes';
  if (!isWithinRestrictions(requested, own)) return 'restrictions';
  if (!isWithinExpiry(requested.expireTime, own.expireTime)) return 'expire_time';
  return undefined;
}

// A project is within an organization's restriction only where it is named itself: which projects
// an organization owns changes with every move.
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
