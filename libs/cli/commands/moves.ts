import { Command, Option } from '@commander-js/extra-typings';
import type { Move } from '@silo/protos/gen/silo/project/v1/project.ts';
import {
  GetMoveResponse,
  ListMovesResponse,
} from '@silo/protos/gen/silo/project/v1/project_service.ts';
import type { Cli } from '../cli.ts';
import { present } from '../find.ts';
import { moveBlocks, movesBlocks } from '../render/moves.ts';
import { firstOf, parseCount } from './limit.ts';

export function moves(cli: Cli) {
  return new Command('moves')
    .description('Moves of projects, and what can still become of them.')
    .addCommand(list(cli), { isDefault: true })
    .addCommand(show(cli));
}

function list(cli: Cli) {
  return new Command('list')
    .description('List the moves from and to an organization, or of a project: newest first.')
    .option('--org <organization>', 'name or id; default: that of the current project')
    .option('--project <project>', 'of a project: name, Organization/Name, or id')
    .addOption(new Option('--limit <count>', 'how many at most').argParser(parseCount).default(50))
    .action(async ({ org, project, limit }) => {
      const { api, find } = await cli.signedIn();
      const target = await find.target({ org, project });
      const { things, nextPageToken } = await firstOf<Move>(limit, async (page) => {
        const answer = await api.projects.listMoves({ ...target, ...page });
        return { things: answer.moves, nextPageToken: answer.nextPageToken };
      });
      const blocks = movesBlocks(things, new Date(), nextPageToken);
      cli.answer(ListMovesResponse, { moves: things, nextPageToken }, blocks);
    });
}

function show(cli: Cli) {
  return new Command('show')
    .description('Show a move.')
    .argument('<move>', 'id, mov_…')
    .action(async (moveId) => {
      const { api } = await cli.signedIn();
      const answer = await api.projects.getMove({ moveId });
      cli.answer(GetMoveResponse, answer, moveBlocks(present(answer.move), new Date()));
    });
}
