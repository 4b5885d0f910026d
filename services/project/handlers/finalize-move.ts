import type { Outcome } from '@silo/mongo/mutation.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import {
  type FinalizeMoveRequest,
  FinalizeMoveResponse,
} from '@silo/protos/gen/silo/project/v1/project_service.ts';
import { type Call, keyCaller } from '@silo/rpc/call.ts';
import { moveFinalizedEvent } from '../events.ts';
import { moveMessage } from '../messages.ts';
import { refuseClosed, requireMayFinalize } from '../rules/undo-move.ts';
import type { Dependencies } from './dependencies.ts';
import { hiddenMove, readSeenMove } from './shared/seen-move.ts';

type FinalizeMoveDependencies = Pick<Dependencies, 'moves' | 'eventLog' | 'access'>;

export async function finalizeMove(
  { moveId }: FinalizeMoveRequest,
  call: Call,
  dependencies: FinalizeMoveDependencies,
): Promise<Outcome<FinalizeMoveResponse>> {
  const { moves, eventLog } = dependencies;
  const { move, ...sides } = await readSeenMove(dependencies, call, {
    moveId,
    scope: 'project:write',
  });
  const { key } = keyCaller(call);
  requireMayFinalize(move, key, sides);
  const { destinationOrganizationId: organizationId } = move;
  return await eventLog.mutate(call, FinalizeMoveResponse, async (tx) => {
    const closing = { finalizeTime: tx.now, finalizerAccountId: key.accountId };
    const closed = await moves.close(tx, moveId, closing);
    if (closed === undefined) {
      const present = await moves.read(tx, moveId);
      throw (present && refuseClosed(present, tx.now)) ?? new TypeError(`${moveId} does not close`);
    }
    tx.emit(moveFinalizedEvent(closed, { actor: call.actor, tx }));
    return {
      response: { move: moveMessage(closed) },
      alsoDemands: [{ organizationId, level: Level.LEVEL_ADMIN, hiddenAs: hiddenMove(moveId) }],
    };
  });
}
