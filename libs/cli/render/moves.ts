import type { Move } from '@silo/protos/gen/silo/project/v1/project.ts';
import type { Block } from '../text.ts';
import { facts, timeText } from './values.ts';

export function movesBlocks(moves: readonly Move[], now: Date, nextPageToken = ''): Block[] {
  if (moves.length === 0) return ['No moves yet.'];
  const rows = moves.map((move) => [
    timeText(move.moveTime),
    whatText(move),
    move.sourceOrganizationId,
    move.destinationOrganizationId,
    stateText(move, now),
    move.id,
  ]);
  return [
    { head: ['time', 'project', 'from', 'to', 'state', 'id'], rows },
    ...(nextPageToken === '' ? [] : [{ text: 'There is more: --limit N', style: 'dim' as const }]),
  ];
}

export function moveBlocks(move: Move, now: Date): Block[] {
  return facts(
    ['move', move.id],
    ['projects', move.projectIds.join(' ')],
    ['from', move.sourceOrganizationId],
    ['to', move.destinationOrganizationId],
    ['by', move.actorAccountId],
    ['when', timeText(move.moveTime)],
    ['state', stateText(move, now)],
  );
}

/** The last lines of a move: how to take it back. */
export function undoBlocks({ id, undoExpireTime }: Move): Block[] {
  if (undoExpireTime === undefined) return [];
  return [
    [
      `Until ${timeText(undoExpireTime)} it can be undone: `,
      { text: `silo undo ${id}`, style: 'bold' },
    ],
  ];
}

/** `1 project` and so on. */
export function projectsText(count: number): string {
  return count === 1 ? '1 project' : `${count} projects`;
}

function whatText({ projectId, projectIds }: Move): string {
  return projectId || projectsText(projectIds.length);
}

/** What can still become of it. */
function stateText(move: Move, now: Date): string {
  if (move.undoOf) return `undo of ${move.undoOf}`;
  if (move.undoneBy) return `undone by ${move.undoneBy}`;
  if (move.finalizeTime) return `finalized ${timeText(move.finalizeTime)}`;
  const { undoExpireTime } = move;
  if (undoExpireTime === undefined || undoExpireTime <= now) return 'final';
  return `undo until ${timeText(undoExpireTime)}`;
}
