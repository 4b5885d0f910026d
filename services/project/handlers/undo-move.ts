import type { Transaction } from '@silo/log/event-log.ts';
import type { Outcome } from '@silo/mongo/mutation.ts';
import {
  type UndoMoveRequest,
  UndoMoveResponse,
} from '@silo/protos/gen/silo/project/v1/project_service.ts';
import { type Call, keyCaller } from '@silo/rpc/call.ts';
import { moveMessage } from '../messages.ts';
import { requireNone, violatedMoveRules } from '../rules/move.ts';
import { requireMayUndo, undoBlockers } from '../rules/undo-move.ts';
import type { MoveDocument } from '../store/documents.ts';
import type { Dependencies } from './dependencies.ts';
import { requireUsable } from './shared/move-projects.ts';
import { hiddenMove, readSeenMove } from './shared/seen-move.ts';
import { optimisticThenDiagnosed, type Wanted, writeMove } from './shared/write-move.ts';

type UndoMoveDependencies = Pick<
  Dependencies,
  'projects' | 'slots' | 'moves' | 'eventLog' | 'access'
>;

export async function undoMove(
  { moveId }: UndoMoveRequest,
  call: Call,
  dependencies: UndoMoveDependencies,
): Promise<Outcome<UndoMoveResponse>> {
  const { move, ...sides } = await readSeenMove(dependencies, call, {
    moveId,
    scope: 'project:write',
  });
  const levels = requireMayUndo(move, keyCaller(call).key, sides);
  return await decide(dependencies, call, move, levels);
}

async function decide(
  dependencies: UndoMoveDependencies,
  call: Call,
  move: MoveDocument,
  levels: ReturnType<typeof requireMayUndo>,
): Promise<Outcome<UndoMoveResponse>> {
  const { sourceOrganizationId, destinationOrganizationId, projectIds } = move;
  const hiddenAs = hiddenMove(move._id);
  const destination = { organizationId: destinationOrganizationId, level: levels.destination };
  const source = { organizationId: sourceOrganizationId, level: levels.source };
  const alsoDemands = [
    { ...destination, hiddenAs },
    { ...source, createsProjects: true, hiddenAs },
  ];
  const wanted: Wanted = {
    sourceId: destinationOrganizationId,
    destinationId: sourceOrganizationId,
    projectIds,
    undoes: move,
  };
  const by = async (check: (tx: Transaction) => Promise<void>) => {
    return await dependencies.eventLog.mutate(call, UndoMoveResponse, async (tx) => {
      await check(tx);
      const { move: back } = await writeMove(dependencies, call, wanted, tx);
      return { response: { move: moveMessage(back) }, alsoDemands };
    });
  };
  return await optimisticThenDiagnosed(
    () => by(async () => {}),
    () => by((tx) => requireUndoable(dependencies, move._id, wanted, tx)),
  );
}

/** Reads the facts of all rules in one snapshot, and refuses if any rule is violated. */
async function requireUndoable(
  { projects, slots, moves }: UndoMoveDependencies,
  moveId: string,
  { sourceId, destinationId, projectIds }: Wanted,
  tx: Transaction,
): Promise<void> {
  const move = await moves.read(tx, moveId);
  if (move === undefined) throw new TypeError(`${moveId} has vanished`);
  const existing = await projects.readMany(tx, projectIds);
  const ends = { sourceId, destinationId };
  const both = requireUsable(await slots.readMany(tx, [sourceId, destinationId]), ends);
  // Only projects that are still where the move brought them go back, and count.
  const there = existing.filter((project) => project.moveId === moveId);
  requireNone([
    ...undoBlockers(move, existing, tx.now),
    ...violatedMoveRules({ projects: there, ...both, kept: 0 }),
  ]);
}
