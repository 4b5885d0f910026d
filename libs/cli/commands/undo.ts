import { Command } from '@commander-js/extra-typings';
import { UndoMoveResponse } from '@silo/protos/gen/silo/project/v1/project_service.ts';
import type { Cli } from '../cli.ts';
import { present } from '../find.ts';
import { moveBlocks, projectsText } from '../render/moves.ts';
import { propagationBlocks } from '../render/propagation.ts';

export function undo(cli: Cli) {
  return new Command('undo')
    .description('Take a move back: within 7 days, all of its projects, all access as it was.')
    .argument('<move>', 'id, mov_…: silo moves lists them')
    .option('--yes', 'do not prompt')
    .action(async (moveId, { yes }) => {
      const { api } = await cli.signedIn();
      if (!yes) {
        const move = present((await api.projects.getMove({ moveId })).move);
        cli.note(...moveBlocks(move, new Date()));
        const { sourceOrganizationId, destinationOrganizationId, projectIds } = move;
        const what = `${projectsText(projectIds.length)} will go back to ${sourceOrganizationId}`;
        cli.note(`${what}: members of ${destinationOrganizationId} only will lose access.`);
        await cli.prompt.confirmByTyping('undo', 'undo');
      }
      cli.repeatedBy('undo', moveId, '--yes');
      const answer = await api.projects.undoMove({ moveId, requestId: '' });
      const back = present(answer.move);
      const what = ` ${moveId}: ${projectsText(back.projectIds.length)} back in ${back.destinationOrganizationId}.`;
      cli.answer(UndoMoveResponse, answer, [
        [{ text: 'Undone', style: 'good' }, what],
        ...propagationBlocks(answer.propagation),
      ]);
    });
}
