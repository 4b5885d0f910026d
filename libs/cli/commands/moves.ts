import { Command, Option } from '@commander-js/extra-typings';
import type { Move } from '@silo/protos/gen/silo/project/v1/project.ts';
import {
  GetMoveResponse,
  ListMovesResponse,
} from '@silo/protos/gen/silo/project/v1/project_service.ts';
import type { Cli } from '../cli.ts';
import { group } from '../group.ts';
import { undoRights } from '../may-undo.ts';
import { endsOf, idsIn, type MovesShown, moveBlocks, movesBlocks } from '../render/moves.ts';
import { firstOf, parseCount } from './limit.ts';

export function moves(cli: Cli) {
  return group('moves', 'List and show moves of projects, and what can still be done with them.', [
    list(cli),
    show(cli),
  ]);
}

function list(cli: Cli) {
  return new Command('list')
    .description('List the moves from and to an organization, or of a project: newest first.')
    .option('--org <organization>', 'name or id; default: that of the current project')
    .option('--project <project>', 'of this project: name, Organization/Name, or id')
    .addOption(
      new Option('--limit <count>', 'show at most this number').argParser(parseCount).default(50),
    )
    .action(async ({ org, project, limit }) => {
      const { api, find } = await cli.signedIn();
      const target = await find.target({ org, project });
      const { things, nextPageToken } = await firstOf<Move>(limit, async (page) => {
        const answer = await api.projects.listMoves({ ...target, ...page });
        return { things: answer.moves, nextPageToken: answer.nextPageToken };
      });
      const blocks = movesBlocks(things, await shownTo(cli, things), nextPageToken);
      cli.answer(ListMovesResponse, { moves: things, nextPageToken }, blocks);
    });
}

function show(cli: Cli) {
  return new Command('show')
    .description('Show a move.')
    .argument('[project]', 'the project, for its latest move; or the move’s id, mov_…')
    .action(async (given) => {
      const { find } = await cli.signedIn();
      const move = await find.move(given);
      cli.answer(GetMoveResponse, { move }, moveBlocks(move, await shownTo(cli, [move])));
    });
}

/** How these moves are shown to the caller. */
export async function shownTo(cli: Cli, list: readonly Move[]): Promise<MovesShown> {
  const { profile, find, lookUp } = await cli.signedIn();
  const [nameOf, organizations] = await Promise.all([
    lookUp(idsIn(list), endsOf(list)),
    find.organizations(),
  ]);
  return { now: new Date(), nameOf, mayUndo: undoRights(profile.account.id, organizations) };
}
