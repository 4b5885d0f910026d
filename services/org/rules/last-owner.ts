import { errors } from '@silo/errors/errors.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';

/**
 * Refuses with LAST_OWNER a change that would leave an organization without an owner. `to`
 * undefined: the member leaves or is removed.
 */
export function checkKeepsOwner(ownerCount: number, from: Level, to: Level | undefined): void {
  if (from === Level.LEVEL_OWNER && to !== Level.LEVEL_OWNER && ownerCount <= 1) {
    throw errors.lastOwner();
  }
}

/** Returns by how much a change of level changes the number of owners. */
export function ownersAdded(from: Level | undefined, to: Level | undefined): number {
  return Number(to === Level.LEVEL_OWNER) - Number(from === Level.LEVEL_OWNER);
}
