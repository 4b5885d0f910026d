import { errors } from '@silo/errors/errors.ts';
import { isLive, isRestricted } from '@silo/guard/judge.ts';
import { holdsScope } from '@silo/guard/scopes.ts';
import type { KeyFact } from '@silo/protos/gen/silo/token/internal/v1/fact_service.ts';

/** How far a key reaches: what it may do, where, and until when. */
export type Reach = {
  scopes: readonly string[];
  organizationIds: readonly string[];
  projectIds: readonly string[];
  expireTime?: Date | undefined;
};

/** In what one key may go beyond another. */
export type Dimension = 'scopes' | 'restrictions' | 'expire_time';

/** How many keys an account may have. */
const keysMax = 100;

/** In what the one reach goes beyond the other; undefined if it lies within. */
export function exceeds(asked: Reach, own: Reach): Dimension | undefined {
  if (!asked.scopes.every((scope) => holdsScope(own.scopes, scope))) return 'scopes';
  if (!isWithinRestrictions(asked, own)) return 'restrictions';
  if (!isWithinExpiry(asked.expireTime, own.expireTime)) return 'expire_time';
  return undefined;
}

/** Who may make, enable or roll a key: refuses with KEY_EXCEEDS_CALLER. */
export function checkWithinCaller(asked: Reach, caller: Reach): void {
  const beyond = exceeds(asked, caller);
  if (beyond !== undefined) throw errors.keyExceedsCaller(beyond);
}

/** Narrowing is always allowed; what widens must stay within the caller. */
export function checkChange(before: Reach, after: Reach, caller: Reach): void {
  if (exceeds(after, before) !== undefined) checkWithinCaller(after, caller);
}

/** Whether the caller may know of a key: of its own account, and if restricted only of itself. */
export function isVisible(caller: KeyFact, key: { _id: string; accountId: string }): boolean {
  if (key.accountId !== caller.accountId) return false;
  return !isRestricted(caller) || key._id === caller.keyId;
}

/**
 * What the calling key is when the change is decided. Refuses with TOKEN_INVALID or SCOPE_REQUIRED
 * where it has been ended or narrowed since the call came in.
 */
export function checkStillCaller(caller: KeyFact | undefined, now: Date): KeyFact {
  if (!isLive(caller, now)) throw errors.tokenInvalid();
  if (!holdsScope(caller.scopes, 'key:write')) throw errors.scopeRequired('key:write');
  return caller;
}

/** Refuses with RESOURCE_LIMIT where an account has too many keys, counting the new one. */
export function checkKeyCount(keyCount: number): void {
  if (keyCount > keysMax) throw errors.resourceLimit('api_keys', keysMax);
}

// A project is within an organization's restriction only where it is named itself: which projects
// an organization owns changes with every move.
function isWithinRestrictions(asked: Reach, own: Reach): boolean {
  if (!hasRestriction(own)) return true;
  if (!hasRestriction(asked)) return false;
  return (
    asked.organizationIds.every((id) => own.organizationIds.includes(id)) &&
    asked.projectIds.every((id) => own.projectIds.includes(id))
  );
}

function hasRestriction({ organizationIds, projectIds }: Reach): boolean {
  return organizationIds.length > 0 || projectIds.length > 0;
}

function isWithinExpiry(asked: Date | undefined, own: Date | undefined): boolean {
  if (own === undefined) return true;
  return asked !== undefined && asked <= own;
}
