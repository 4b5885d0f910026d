import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';

const known: ReadonlySet<number> = new Set(
  Object.values(Level).filter((level) => level !== Level.LEVEL_UNSPECIFIED),
);

/**
 * Whether a membership's level is known to this build. A level that only a newer release
 * knows grants nothing here: its number does not say what it may do.
 */
export function isKnownLevel(level: Level | undefined): level is Level {
  return level !== undefined && known.has(level);
}
