import { Command } from '@commander-js/extra-typings';
import { FinalizeMoveResponse } from '@silo/protos/gen/silo/project/v1/project_service.ts';
import type { Cli } from '../cli.ts';
import { present } from '../find.ts';
import { moveBlocks } from '../render/moves.ts';

export function finalize(cli: Cli) {
  return new Command('finalize')
    .description('End the time in which a move can be undone. For admins of its destination.')
    .argument('<move>', 'id, mov_…: silo moves lists them')
    .option('--yes', 'do not prompt')
    .action(async (moveId, { yes }) => {
      const { api } = await cli.signedIn();
      if (!yes) {
        const move = present((await api.projects.getMove({ moveId })).move);
        cli.note(...moveBlocks(move, new Date()), 'Nobody will be able to undo it any more.');
        await cli.prompt.confirmByTyping('finalize', 'finalize');
      }
      cli.repeatedBy('finalize', moveId, '--yes');
      const answer = await api.projects.finalizeMove({ moveId, requestId: '' });
      cli.answer(FinalizeMoveResponse, answer, [
        [{ text: 'Finalized', style: 'good' }, ` ${moveId}.`],
      ]);
    });
}
