import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';

const known: ReadonlySet<number> = new Set(
  Object.values(Level).filter((level) => level !== Level.LEVEL_UNSPECIFIED),
);

/**
 * Whether this build knows a membership's level. A level that only a newer release knows grants
 * nothing here, because its number does not show what it allows.
 */
export function isKnownLevel(level: Level | undefined): level is Level {
  return level !== undefined && known.has(level);
}
