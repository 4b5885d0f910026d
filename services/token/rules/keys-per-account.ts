import { errors } from '@silo/errors/errors.ts';
import { type Expiry, isExpired } from './key-scope.ts';

/** Limit of an account's keys that have not expired. */
const keysMax = 100;

/** Number of expired keys that an account keeps, so that it can still see them. */
const expiredKeysMax = 100;

/**
 * Refuses with RESOURCE_LIMIT if too many of an account's keys, including the new one, have not
 * expired.
 */
export function checkKeyCount(all: readonly Expiry[], now: Date): void {
  const count = all.filter((key) => !isExpired(key, now)).length;
  if (count > keysMax) throw errors.resourceLimit('api_keys', keysMax);
}

/**
 * Returns the ids of the expired keys that an account does not keep: all but those that expired
 * last.
 */
export function longExpired(all: readonly (Expiry & { _id: string })[], now: Date): string[] {
  const expired = all.filter((key) => isExpired(key, now));
  const endOf = ({ expireTime }: Expiry) => expireTime?.getTime() ?? 0;
  const latestFirst = expired.sort((a, b) => endOf(b) - endOf(a));
  return latestFirst.slice(expiredKeysMax).map(({ _id }) => _id);
}
