import { isLive } from '@silo/access/evaluate-access.ts';
import { exceeds, isRestricted, type Reach } from '@silo/access/reach.ts';
import { holdsScope } from '@silo/access/scopes.ts';
import { errors } from '@silo/errors/errors.ts';
import type { KeyFact } from '@silo/protos/gen/silo/token/internal/v1/fact_service.ts';

/** Time at which a key expires; undefined: never. */
export type Expiry = Pick<Reach, 'expireTime'>;

/**
 * Checks that the caller may create, enable or roll such a key. Refuses with KEY_EXCEEDS_CALLER.
 */
export function checkWithinCaller(requested: Reach, caller: Reach): void {
  const beyond = exceeds(requested, caller);
  if (beyond !== undefined) throw errors.keyExceedsCaller(beyond);
}

/**
 * Returns the reach that must lie within the caller: the new reach if the change widens the key;
 * undefined if it only narrows it, which is always allowed.
 */
export function widenedTo(before: Reach, after: Reach): Reach | undefined {
  return exceeds(after, before) === undefined ? undefined : reachOf(after);
}

/** Returns the reach of a key without its other fields. */
export function reachOf({ scopes, organizationIds, projectIds, expireTime }: Reach): Reach {
  return { scopes, organizationIds, projectIds, expireTime };
}

/**
 * Whether the caller may see a key: a key of its own account, and only itself if it is restricted.
 */
export function isVisible(caller: KeyFact, key: { _id: string; accountId: string }): boolean {
  if (key.accountId !== caller.accountId) return false;
  return !isRestricted(caller) || key._id === caller.keyId;
}

/**
 * Returns the calling key at the time of the decision. Refuses with TOKEN_INVALID or SCOPE_REQUIRED
 * if it was ended or narrowed after the call arrived.
 */
export function checkStillCaller(caller: KeyFact | undefined, now: Date): KeyFact {
  if (!isLive(caller, now)) throw errors.tokenInvalid();
  if (!holdsScope(caller.scopes, 'key:write')) throw errors.scopeRequired('key:write');
  return caller;
}

/** Whether a key has expired. */
export function isExpired({ expireTime }: Expiry, now: Date): boolean {
  return expireTime !== undefined && expireTime <= now;
}

/** Refuses with KEY_EXPIRED to make an expired key valid again. */
export function checkNotExpired(key: Expiry, now: Date): void {
  if (key.expireTime !== undefined && isExpired(key, now)) throw errors.keyExpired(key.expireTime);
}
