import { Command } from '@commander-js/extra-typings';
import { FinalizeMoveResponse } from '@silo/protos/gen/silo/project/v1/project_service.ts';
import { isId } from '@silo/tokens/ids.ts';
import type { Cli } from '../cli.ts';
import { moveBlocks } from '../render/moves.ts';
import { shownTo } from './moves.ts';

export function finalize(cli: Cli) {
  return new Command('finalize')
    .description('End the time in which a move can be undone. For admins of its destination.')
    .argument('[project]', 'the project, for its latest move; or the move’s id, mov_…')
    .option('--yes', 'do not prompt')
    .action(async (given, { yes }) => {
      const { api, find } = await cli.signedIn();
      const isRepeat = yes && given !== undefined && isId('move', given);
      const moveId = isRepeat ? given : (await find.move(given, 'finalize')).id;
      if (!yes) {
        const move = await find.move(moveId);
        const shown = await shownTo(cli, [move]);
        cli.note(...moveBlocks(move, shown), 'Nobody will be able to undo it any more.');
        await cli.prompt.confirmByTyping('finalize', 'finalize');
      }
      cli.repeatedBy('finalize', moveId, '--yes');
      const answer = await api.projects.finalizeMove({ moveId, requestId: '' });
      cli.answer(FinalizeMoveResponse, answer, [
        [{ text: 'Finalized', style: 'good', id: moveId }, ': the move cannot be undone.'],
      ]);
    });
}
