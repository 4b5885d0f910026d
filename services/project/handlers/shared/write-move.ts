import type { Transaction } from '@silo/log/event-log.ts';
import { type Call, keyCaller } from '@silo/rpc/call.ts';
import { newId } from '@silo/tokens/ids.ts';
import { movedEvent } from '../../events.ts';
import { undoMs } from '../../rules/undo-move.ts';
import type { MoveDocument, ProjectDocument } from '../../store/documents.ts';
import type { Dependencies } from '../dependencies.ts';

export type Writes = Pick<Dependencies, 'projects' | 'slots' | 'moves'>;

/** The projects to move, with their source and destination. */
export type Wanted = {
  sourceId: string;
  destinationId: string;
  projectIds: readonly string[];
  /** The expected revision of the one project, if the caller has sent it. */
  revision?: number | undefined;
  /** The move that this one reverts. */
  undoes?: MoveDocument | undefined;
};

/** The completed move. */
export type Moved = { move: MoveDocument; projects: ProjectDocument[] };

/** Thrown if a statement shows that some rule is violated, but not which one. */
class Undiagnosed extends Error {}

/**
 * First tries writes that match only if every state rule holds. If one does not match, reads to
 * find the violated rules.
 */
export async function optimisticThenDiagnosed<T>(
  optimistic: () => Promise<T>,
  diagnosed: () => Promise<T>,
): Promise<T> {
  try {
    return await optimistic();
  } catch (error) {
    if (!(error instanceof Undiagnosed)) throw error;
    return await diagnosed();
  }
}

/**
 * Writes the move of one project or a batch. Every statement checks the rules for what it changes;
 * throws Undiagnosed if one does not match.
 */
export async function writeMove(
  { projects, slots, moves }: Writes,
  call: Call,
  { sourceId, destinationId, projectIds, revision, undoes }: Wanted,
  tx: Transaction,
): Promise<Moved> {
  const { now } = tx;
  // Both slots would be one document, counted down and up again.
  if (sourceId === destinationId) throw new Undiagnosed();
  const moveId = newId('mov', { now });
  if (undoes !== undefined && !(await moves.close(tx, undoes._id, { undoneBy: moveId }))) {
    throw new Undiagnosed();
  }
  const expected = { organizationId: sourceId, revision, moveId: undoes?._id };
  const to = { organizationId: destinationId, moveId };
  const moved = await projects.transfer(tx, projectIds, expected, to);
  if (moved === undefined) throw new Undiagnosed();
  const kept = undoes === undefined ? 1 : 0;
  const dependencies = { sourceId, destinationId, count: projectIds.length, kept };
  if (!(await slots.transfer(tx, dependencies))) throw new Undiagnosed();
  const move: MoveDocument = {
    _id: moveId,
    projectIds: [...projectIds],
    sourceOrganizationId: sourceId,
    destinationOrganizationId: destinationId,
    organizationIds: [sourceId, destinationId],
    actorAccountId: keyCaller(call).key.accountId,
    moveTime: now,
    ...(undoes === undefined
      ? { undoExpireTime: new Date(now.getTime() + undoMs) }
      : { undoOf: undoes._id }),
    revision: 1,
  };
  await moves.insert(tx, move);
  for (const project of moved) tx.emit(movedEvent(project, move, { actor: call.actor, tx }));
  return { move, projects: moved };
}
