import type { Demand } from '@silo/access/access.ts';
import { decoyOrganizationId } from '@silo/access/decoy.ts';
import { reachesOrganization } from '@silo/access/reach.ts';
import { errors } from '@silo/errors/errors.ts';
import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import { type Call, keyCaller } from '@silo/rpc/call.ts';
import { checkAccess } from '@silo/rpc/check-access.ts';
import type { MoveSides } from '../../rules/undo-move.ts';
import type { MoveDocument } from '../../store/documents.ts';
import type { Dependencies } from '../dependencies.ts';

/** A move, with the caller's levels in its two organizations. */
export type SeenMove = MoveSides & { move: MoveDocument };

/**
 * Returns a move that the caller may see: as a member of its source or destination, with a key that
 * reaches that organization or a project of the move. Refuses with MOVE_NOT_FOUND.
 */
export async function readSeenMove(
  { moves, access }: Pick<Dependencies, 'moves' | 'access'>,
  call: Call,
  { moveId, scope }: { moveId: string; scope: string },
): Promise<SeenMove> {
  const { key, keyHash } = keyCaller(call);
  const found = await moves.find(moveId, call.signal);
  // A missing move takes as many reads as a hidden one.
  const move = found ?? noMove(moveId);
  const sideOf = async (organizationId: string) => {
    // A key that does not reach the organization may reach a project that the organization had, or
    // has.
    const projectId = reachesOrganization(key, organizationId)
      ? undefined
      : move.projectIds.find((id) => key.projectIds.includes(id));
    const question = { keyHash, scope, organizationId, projectId };
    const answer = await checkAccess(access, call, question);
    return answer.allowed ? answer.facts.organization : undefined;
  };
  const source = await sideOf(move.sourceOrganizationId);
  const destination = await sideOf(move.destinationOrganizationId);
  const isHidden = source === undefined && destination === undefined;
  if (found === undefined || isHidden) throw errors.moveNotFound(moveId);
  return { move: found, source, destination };
}

/** The organizations and projects of a missing move. */
function noMove(
  moveId: string,
): Pick<MoveDocument, 'sourceOrganizationId' | 'destinationOrganizationId' | 'projectIds'> {
  return {
    sourceOrganizationId: decoyOrganizationId(moveId, 'xx'),
    destinationOrganizationId: decoyOrganizationId(moveId, 'xy'),
    projectIds: [],
  };
}

/** Hides an organization of the move as if the move did not exist: the caller sent only its id. */
export function hiddenMove(moveId: string): Demand['hiddenAs'] {
  return { reason: ErrorReason.ERROR_REASON_MOVE_NOT_FOUND, detail: moveId };
}
