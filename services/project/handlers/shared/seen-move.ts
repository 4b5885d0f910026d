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

/** A move, with what the caller is in its two organizations. */
export type SeenMove = MoveSides & { move: MoveDocument };

/**
 * A move that the caller may know of: as a member of its source or its destination, with a key that
 * reaches that organization or a project of the move. Refuses with MOVE_NOT_FOUND.
 */
export async function readSeenMove(
  { moves, access }: Pick<Dependencies, 'moves' | 'access'>,
  call: Call,
  { moveId, scope }: { moveId: string; scope: string },
): Promise<SeenMove> {
  const { key, keyHash } = keyCaller(call);
  const found = await moves.find(moveId, call.signal);
  // What does not exist takes as many reads to find as what is hidden.
  const move = found ?? noMove(moveId);
  const sideOf = async (organizationId: string) => {
    // A key that does not reach the organization may yet reach a project that it had, or has.
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

/** The ends of a move that does not exist. */
function noMove(
  moveId: string,
): Pick<MoveDocument, 'sourceOrganizationId' | 'destinationOrganizationId' | 'projectIds'> {
  return {
    sourceOrganizationId: decoyOrganizationId(moveId, 'xx'),
    destinationOrganizationId: decoyOrganizationId(moveId, 'xy'),
    projectIds: [],
  };
}

/** How an organization of the move is hidden: as the move itself, whose id is all that was sent. */
export function hiddenMove(moveId: string): Demand['hiddenAs'] {
  return { reason: ErrorReason.ERROR_REASON_MOVE_NOT_FOUND, detail: moveId };
}
