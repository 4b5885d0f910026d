import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import type { Account } from '@silo/protos/gen/silo/org/v1/account_service.ts';
import type { Organization } from '@silo/protos/gen/silo/org/v1/organization.ts';
import type { Move, Project } from '@silo/protos/gen/silo/project/v1/project.ts';
import { isId } from '@silo/tokens/ids.ts';
import type { Api } from './api.ts';
import { chooseOf } from './choose.ts';
import { Failure } from './failure.ts';
import { isOpen, undoRights } from './may-undo.ts';
import type { NameOf } from './names.ts';
import { createLookUp } from './names.ts';
import type { Prompts } from './prompt.ts';
import { endsOf, idsIn, whatOf } from './render/moves.ts';
import { timeText } from './render/values.ts';
import { textOf } from './text.ts';

type Uses = {
  api: Api;
  prompt: Prompts;
  project: (given: string | undefined) => Promise<Project>;
  organizations: () => Promise<Organization[]>;
  account: () => Promise<Account>;
};

// Reads the latest moves of at most this number of organizations.
const organizationsMax = 20;
const movesMax = 50;

/**
 * Finds a move by its id, the latest of a project, or one that the user chooses. The choice can be
 * restricted to moves that the caller may undo or finalize.
 */
export async function findMove(
  uses: Uses,
  given: string | undefined,
  wanted?: 'undo' | 'finalize',
): Promise<Move> {
  const { api } = uses;
  if (given === undefined) return await chosenMove(uses, wanted);
  if (isId('move', given)) {
    const { move } = await api.projects.getMove({ moveId: given });
    if (move === undefined) throw new Error('Silo sent an empty answer');
    return move;
  }
  const { id, name } = await uses.project(given);
  const request = { organizationId: '', projectId: id, pageSize: 1, pageToken: '' };
  const [latest] = (await api.projects.listMoves(request)).moves;
  if (latest === undefined) {
    throw new Failure('hidden', `${name} has no move that you may see.`, 'silo moves list');
  }
  return latest;
}

async function chosenMove(uses: Uses, wanted: 'undo' | 'finalize' | undefined): Promise<Move> {
  const { api, prompt, organizations, account } = uses;
  if (!prompt.possible) {
    // Without a terminal, choosing fails with the right advice.
    return await chooseOf(
      prompt,
      question([], () => ''),
    );
  }
  const [own, { id, email }] = await Promise.all([organizations(), account()]);
  const lists = await Promise.all(
    own.slice(0, organizationsMax).map(({ id: organizationId }) => {
      const request = { organizationId, projectId: '', pageSize: movesMax, pageToken: '' };
      return api.projects.listMoves(request);
    }),
  );
  const found = new Map(lists.flatMap(({ moves }) => moves.map((move) => [move.id, move])));
  const now = new Date();
  const mayUndo = undoRights(id, own);
  const mayFinalize = ({ destinationOrganizationId }: Move) =>
    own.some((each) => each.id === destinationOrganizationId && each.level >= Level.LEVEL_ADMIN);
  const may = wanted === 'undo' ? mayUndo : mayFinalize;
  const moves = [...found.values()]
    .filter((move) => wanted === undefined || (isOpen(move, now) && may(move)))
    .toSorted((a, b) => (b.moveTime?.getTime() ?? 0) - (a.moveTime?.getTime() ?? 0));
  const nameOf = await createLookUp(api, { id, email })(idsIn(moves), endsOf(moves));
  return await chooseOf(
    prompt,
    question(moves, (move) => moveText(move, nameOf)),
  );
}

function question(things: readonly Move[], textFor: (move: Move) => string) {
  return {
    message: 'Which move?',
    things,
    listed: (move: Move) => ({ name: textFor(move) }),
    instead: 'name the project, or the move’s id.',
    none: 'silo moves list',
  };
}

/** `Web: Example → Acme, 2027-01-31 12:00 UTC, by Ada`. */
function moveText(move: Move, nameOf: NameOf): string {
  const text = (id: string) => textOf(nameOf(id));
  const { sourceOrganizationId, destinationOrganizationId, actorAccountId, moveTime } = move;
  const ends = `${text(sourceOrganizationId)} → ${text(destinationOrganizationId)}`;
  return `${textOf(whatOf(move, nameOf))}: ${ends}, ${timeText(moveTime)}, by ${text(actorAccountId)}`;
}
