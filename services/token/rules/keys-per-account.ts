import { errors } from '@silo/errors/errors.ts';
import { type Expiry, isExpired } from './key-scope.ts';

/** How many keys an account may have that have not expired. */
const keysMax = 100;

/** How many expired keys an account keeps, so that it can still see them. */
const expiredKeysMax = 100;

/** Refuses with RESOURCE_LIMIT where too many of an account's keys, the new one included, are unexpired. */
export function checkKeyCount(all: readonly Expiry[], now: Date): void {
  const count = all.filter((key) => !isExpired(key, now)).length;
  if (count > keysMax) throw errors.resourceLimit('api_keys', keysMax);
}

/** Ids of the expired keys that an account does not keep: all but those that expired last. */
export function longExpired(all: readonly (Expiry & { _id: string })[], now: Date): string[] {
  const expired = all.filter((key) => isExpired(key, now));
  const endOf = ({ expireTime }: Expiry) => expireTime?.getTime() ?? 0;
  const latestFirst = expired.sort((a, b) => endOf(b) - endOf(a));
  return latestFirst.slice(expiredKeysMax).map(({ _id }) => _id);
}
