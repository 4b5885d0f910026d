import { isKnownLevel } from '@silo/access/levels.ts';
import { errors } from '@silo/errors/errors.ts';
import type { Level } from '@silo/protos/gen/silo/common/v1/level.ts';

/**
 * The level that still stands behind the caller when the change is decided. Refuses with
 * ORGANIZATION_NOT_FOUND an account that is no member any more or has an unknown level, with
 * ADMIN_REQUIRED one below `least`.
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

/** Nobody grants, changes or removes a level above their own: refuses with ADMIN_REQUIRED. */
export function checkWithinOwn(callerLevel: Level, ...levels: readonly Level[]): void {
  for (const level of levels.toSorted((a, b) => b - a)) {
    if (level > callerLevel) throw errors.adminRequired(level);
  }
}

/** The highest of these levels. */
export function highest(...levels: readonly [Level, ...Level[]]): Level {
  return levels.toSorted((a, b) => b - a)[0] ?? levels[0];
}
