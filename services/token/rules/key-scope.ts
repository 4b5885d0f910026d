import { isLive } from '@silo/access/evaluate-access.ts';
import { exceeds, isRestricted, type Reach } from '@silo/access/reach.ts';
import { holdsScope } from '@silo/access/scopes.ts';
import { errors } from '@silo/errors/errors.ts';
import type { KeyFact } from '@silo/protos/gen/silo/token/internal/v1/fact_service.ts';

/** When a key's time is over; undefined: never. */
export type Expiry = Pick<Reach, 'expireTime'>;

/** Whether the caller may make, enable or roll such a key: refuses with KEY_EXCEEDS_CALLER. */
export function checkWithinCaller(requested: Reach, caller: Reach): void {
  const beyond = exceeds(requested, caller);
  if (beyond !== undefined) throw errors.keyExceedsCaller(beyond);
}

/** What must stay within the caller: the reach that a change widens to. Narrowing is always allowed. */
export function widenedTo(before: Reach, after: Reach): Reach | undefined {
  return exceeds(after, before) === undefined ? undefined : reachOf(after);
}

/** How far a key reaches, without the rest of it. */
export function reachOf({ scopes, organizationIds, projectIds, expireTime }: Reach): Reach {
  return { scopes, organizationIds, projectIds, expireTime };
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

/** Whether its time is over. */
export function isExpired({ expireTime }: Expiry, now: Date): boolean {
  return expireTime !== undefined && expireTime <= now;
}

/** Refuses with KEY_EXPIRED what would make a key useful again that has expired. */
export function checkNotExpired(key: Expiry, now: Date): void {
  if (key.expireTime !== undefined && isExpired(key, now)) throw errors.keyExpired(key.expireTime);
}
