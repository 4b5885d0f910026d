import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import type { Organization } from '@silo/protos/gen/silo/org/v1/organization.ts';
import type { Move } from '@silo/protos/gen/silo/project/v1/project.ts';

type Ends = Pick<Move, 'sourceOrganizationId' | 'destinationOrganizationId' | 'actorAccountId'>;

/**
 * Whether an account may undo moves, by its organizations: moves that it made, and moves into
 * organizations where it is an admin. The services decide; this decides what the command offers.
 */
export function undoRights(
  accountId: string,
  organizations: readonly Organization[],
): (move: Ends) => boolean {
  const own = new Map(organizations.map((each) => [each.id, each]));
  return ({ sourceOrganizationId, destinationOrganizationId, actorAccountId }) => {
    const source = own.get(sourceOrganizationId);
    const destination = own.get(destinationOrganizationId);
    if (source === undefined || destination === undefined) return false;
    const isAdminThere = source.level >= Level.LEVEL_ADMIN;
    if (destination.level >= Level.LEVEL_ADMIN) {
      return isAdminThere || source.membersMayCreateProjects;
    }
    return actorAccountId === accountId && isAdminThere;
  };
}

/** Whether a move can still be undone. */
export function isOpen(move: Move, now: Date): boolean {
  const { undoOf, undoneBy, finalizeTime, undoExpireTime } = move;
  if (undoOf || undoneBy || finalizeTime) return false;
  return undoExpireTime !== undefined && undoExpireTime > now;
}
