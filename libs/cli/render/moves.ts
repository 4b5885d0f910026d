import type { Move } from '@silo/protos/gen/silo/project/v1/project.ts';
import { listOf, type NameOf } from '../names.ts';
import type { Block, Span } from '../text.ts';
import { facts, minuteText, timeText } from './values.ts';

/** How moves are shown: `mayUndo` returns whether the caller could undo a move. */
export type MovesShown = { now: Date; nameOf: NameOf; mayUndo: (move: Move) => boolean };

export function movesBlocks(
  moves: readonly Move[],
  shown: MovesShown,
  nextPageToken = '',
): Block[] {
  if (moves.length === 0) return ['No moves yet.'];
  const { nameOf } = shown;
  const rows = moves.map((move) => [
    { text: minuteText(move.moveTime), id: move.id },
    whatOf(move, nameOf),
    nameOf(move.sourceOrganizationId),
    nameOf(move.destinationOrganizationId),
    nameOf(move.actorAccountId),
    stateOf(move, shown),
  ]);
  return [
    { head: ['time (UTC)', 'project', 'from', 'to', 'by', 'state'], rows },
    ...(nextPageToken === '' ? [] : [{ text: 'There is more: --limit N', style: 'dim' as const }]),
  ];
}

export function moveBlocks(move: Move, shown: MovesShown): Block[] {
  const { nameOf } = shown;
  return facts(
    ['projects', listOf(nameOf, move.projectIds)],
    ['from', nameOf(move.sourceOrganizationId)],
    ['to', nameOf(move.destinationOrganizationId)],
    ['by', nameOf(move.actorAccountId)],
    ['when', { text: timeText(move.moveTime), id: move.id }],
    ['state', stateOf(move, shown)],
  );
}

/** The ids of everything that a move names. */
export function idsIn(moves: readonly Move[]): string[] {
  return moves.flatMap(({ projectIds, ...move }) => [
    ...projectIds,
    move.sourceOrganizationId,
    move.destinationOrganizationId,
    move.actorAccountId,
  ]);
}

/** The organizations of moves. */
export function endsOf(moves: readonly Move[]): string[] {
  return moves.flatMap((move) => [move.sourceOrganizationId, move.destinationOrganizationId]);
}

/** The last lines of a move: how to undo it. */
export function undoBlocks({ id, undoExpireTime }: Move): Block[] {
  if (undoExpireTime === undefined) return [];
  return [
    [
      `Until ${timeText(undoExpireTime)} it can be undone: `,
      { text: `silo undo ${id}`, style: 'bold', hasCommands: true },
    ],
  ];
}

/** `1 project` and so on. */
export function projectsText(count: number): string {
  return count === 1 ? '1 project' : `${count} projects`;
}

/** The project of a move, or the number of projects. */
export function whatOf({ projectIds }: Move, nameOf: NameOf): Span {
  const [first, ...others] = projectIds;
  if (first !== undefined && others.length === 0) return nameOf(first);
  return { text: projectsText(projectIds.length), id: projectIds.join(' ') };
}

/** What the caller can still do with a move. */
function stateOf(move: Move, { now, mayUndo }: MovesShown): Span {
  const { undoOf, undoneBy, finalizeTime, undoExpireTime } = move;
  if (undoOf) return { text: 'an undo', id: undoOf };
  if (undoneBy) return { text: 'undone', id: undoneBy };
  if (finalizeTime) return `finalized ${timeText(finalizeTime)}`;
  if (undoExpireTime === undefined || undoExpireTime <= now) return 'final';
  return mayUndo(move) ? `undo until ${timeText(undoExpireTime)}` : 'moved';
}
