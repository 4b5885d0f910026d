import { Command } from '@commander-js/extra-typings';
import { UndoMoveResponse } from '@silo/protos/gen/silo/project/v1/project_service.ts';
import { isId } from '@silo/tokens/ids.ts';
import type { Cli } from '../cli.ts';
import { endedMigrations } from '../ended-migrations.ts';
import { CallFailure, Failure } from '../failure.ts';
import { present } from '../find.ts';
import { moveBlocks, projectsText, whatOf } from '../render/moves.ts';
import { propagationBlocks } from '../render/propagation.ts';
import { textOf } from '../text.ts';
import { shownTo } from './moves.ts';

export function undo(cli: Cli) {
  return new Command('undo')
    .description('Undo a move within 7 days, for all of its projects: access is as it was before.')
    .argument('[project]', 'the project, for its latest move; or the move’s id, mov_…')
    .option('--yes', 'do not prompt')
    .action(async (given, { yes }) => {
      const { api, find, lookUp } = await cli.signedIn();
      // A script may repeat the undo by the move's id, whatever the state of the move.
      const isRepeat = yes && given !== undefined && isId('move', given);
      const moveId = isRepeat ? given : (await find.move(given, 'undo')).id;
      if (!yes) await agree(cli, moveId);
      cli.repeatedBy('undo', moveId, '--yes');
      const request = { moveId, requestId: '' };
      const answer = await api.projects.undoMove(request).catch(async (error: unknown) => {
        throw isForbidden(error) ? error.saying(await mayNotText(cli, moveId)) : error;
      });
      const back = present(answer.move);
      const { projectIds, destinationOrganizationId } = back;
      const nameOf = await lookUp([...projectIds, destinationOrganizationId]);
      const undone = { text: 'Undone', style: 'good', id: moveId } as const;
      const place = nameOf(destinationOrganizationId);
      cli.answer(UndoMoveResponse, answer, [
        [undone, ': ', whatOf(back, nameOf), ' back in ', place, '.'],
        ...propagationBlocks(answer.propagation),
      ]);
    });
}

/** Shows what will happen, and prompts for confirmation. */
async function agree(cli: Cli, moveId: string): Promise<void> {
  const { find } = await cli.signedIn();
  const move = await find.move(moveId);
  const shown = await shownTo(cli, [move]);
  if (!shown.mayUndo(move)) throw new Failure('hidden', await mayNotText(cli, moveId));
  const { sourceOrganizationId, destinationOrganizationId, projectIds } = move;
  cli.note(
    ...moveBlocks(move, shown),
    [
      `${projectsText(projectIds.length)} will go back to `,
      shown.nameOf(sourceOrganizationId),
      ': members of ',
      shown.nameOf(destinationOrganizationId),
      ' only will lose access.',
    ],
    ...(await endedMigrations(cli, destinationOrganizationId, projectIds)),
  );
  await cli.prompt.confirmByTyping('undo', 'undo');
}

/** Whether the services refused the caller rather than the move. */
function isForbidden(error: unknown): error is CallFailure {
  if (!(error instanceof CallFailure)) return false;
  const reason = error.refusal?.reasonName;
  return reason === 'ADMIN_REQUIRED' || reason === 'ORGANIZATION_NOT_FOUND';
}

/** Explains who may undo a move that the caller may not undo. */
async function mayNotText(cli: Cli, moveId: string): Promise<string> {
  const { find } = await cli.signedIn();
  const move = await find.move(moveId);
  const { nameOf } = await shownTo(cli, [move]);
  const source = textOf(nameOf(move.sourceOrganizationId));
  const destination = textOf(nameOf(move.destinationOrganizationId));
  const what = textOf(whatOf(move, nameOf));
  return [
    `You may not undo the move of ${what} from ${source} to ${destination}.`,
    `${textOf(nameOf(move.actorAccountId))}, who made it, may while an admin of ${source};`,
    `admins of ${destination} may who may create projects in ${source}.`,
  ].join(' ');
}
