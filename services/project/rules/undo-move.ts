import { reachesOrganization } from '@silo/access/reach.ts';
import { errors } from '@silo/errors/errors.ts';
import type { SiloError } from '@silo/errors/silo-error.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import type { KeyFact } from '@silo/protos/gen/silo/token/internal/v1/fact_service.ts';
import type { MoveDocument, ProjectDocument } from '../store/documents.ts';
import { type Creator, requireMayCreate } from './level-to-create.ts';

const { LEVEL_ADMIN, LEVEL_MEMBER } = Level;

/** Time for which a move can be undone. */
export const undoMs = 7 * 24 * 60 * 60 * 1000;

/** The caller's level in the organizations of a move; undefined if the caller is not a member. */
export type MoveSides = { source: Creator | undefined; destination: Creator | undefined };

/** The levels that the caller must have in both organizations of a move. */
type Levels = { source: Level; destination: Level };

/** The organizations of a move, which a key must reach, and the account that made the move. */
type Ends = Pick<
  MoveDocument,
  'sourceOrganizationId' | 'destinationOrganizationId' | 'actorAccountId'
>;

/**
 * Requires a member of the move's destination, with a key that reaches it as an organization: a key
 * that names only the projects is not enough. Refuses with ORGANIZATION_NOT_FOUND.
 */
function requireDestination(move: Ends, key: KeyFact, { destination }: MoveSides): Creator {
  const { destinationOrganizationId: id } = move;
  if (destination === undefined || !reachesOrganization(key, id)) {
    throw errors.organizationNotFound(id);
  }
  return destination;
}

/**
 * Checks the undo of a move. Allowed are the account that made it, while it is ADMIN of its source
 * and member of its destination, and ADMINs of the destination that are members of the source; all
 * of them must be allowed to create projects in the source. Returns the levels that permit it.
 * Refuses with ORGANIZATION_NOT_FOUND or ADMIN_REQUIRED.
 */
export function requireMayUndo(move: Ends, key: KeyFact, sides: MoveSides): Levels {
  const destination = requireDestination(move, key, sides);
  const { source } = sides;
  const isMaker = key.accountId === move.actorAccountId;
  if (destination.level < LEVEL_ADMIN && !isMaker) throw errors.adminRequired(LEVEL_ADMIN);
  if (source === undefined || !reachesOrganization(key, move.sourceOrganizationId)) {
    throw errors.organizationNotFound(move.sourceOrganizationId);
  }
  if (destination.level >= LEVEL_ADMIN) {
    requireMayCreate(source);
    return { source: LEVEL_MEMBER, destination: LEVEL_ADMIN };
  }
  if (source.level < LEVEL_ADMIN) throw errors.adminRequired(LEVEL_ADMIN);
  return { source: LEVEL_ADMIN, destination: LEVEL_MEMBER };
}

/** Requires an ADMIN of the move's destination. */
export function requireMayFinalize(move: Ends, key: KeyFact, sides: MoveSides): void {
  const { level } = requireDestination(move, key, sides);
  if (level < LEVEL_ADMIN) throw errors.adminRequired(LEVEL_ADMIN);
}

/** Why a move cannot be undone any more; undefined if it can. */
export function refuseClosed(move: MoveDocument, now: Date): SiloError | undefined {
  if (move.undoOf !== undefined) return errors.moveIsUndo(move.undoOf);
  if (move.undoneBy !== undefined) return errors.moveUndone(move.undoneBy);
  if (move.finalizeTime !== undefined) return errors.moveFinalized();
  const { undoExpireTime } = move;
  return undoExpireTime === undefined || undoExpireTime > now
    ? undefined
    : errors.undoExpired(undoExpireTime);
}

/**
 * The errors that prevent the undo of a move, in the order in which UndoMove checks them, except
 * for the state rules of every move. `projects` are those of the move's projects that still exist.
 */
export function undoBlockers(
  move: MoveDocument,
  projects: readonly Pick<ProjectDocument, '_id' | 'moveId'>[],
  now: Date,
): SiloError[] {
  const closed = refuseClosed(move, now);
  // Do not report a later move if the move is already undone.
  if (closed !== undefined && (move.undoOf ?? move.undoneBy) !== undefined) return [closed];
  const existing = new Set(projects.map(({ _id }) => _id));
  const gone = move.projectIds.find((id) => !existing.has(id));
  const superseded = projects.find(({ moveId }) => moveId !== move._id);
  return [
    ...(closed ? [closed] : []),
    ...(superseded ? [errors.moveSuperseded(superseded._id)] : []),
    ...(gone ? [errors.projectGone(gone)] : []),
  ];
}
