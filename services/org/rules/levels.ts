import { isKnownLevel } from '@silo/access/levels.ts';
import { errors } from '@silo/errors/errors.ts';
import type { Level } from '@silo/protos/gen/silo/common/v1/level.ts';

/**
 * Checks and returns the caller's level at the time of the decision. Refuses with
 * ORGANIZATION_NOT_FOUND if the account is no longer a member or has an unknown level, and with
 * ADMIN_REQUIRED if its level is below `least`.
 */
export function checkStillAllowed(
  level: Level | undefined,
  least: Level,
  organizationId: string,
): Level {
  if (!isKnownLevel(level)) throw errors.organizationNotFound(organizationId);
  if (level < least) throw errors.adminRequired(least);
  return level;
}

/** Refuses with ADMIN_REQUIRED if a caller would grant, change or remove a level above its own. */
export function checkWithinOwn(callerLevel: Level, ...levels: readonly Level[]): void {
  for (const level of levels.toSorted((a, b) => b - a)) {
    if (level > callerLevel) throw errors.adminRequired(level);
  }
}

/** Returns the highest of these levels. */
export function highest(...levels: readonly [Level, ...Level[]]): Level {
  return levels.toSorted((a, b) => b - a)[0] ?? levels[0];
}
