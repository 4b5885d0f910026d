import { Command } from '@commander-js/extra-typings';
import { DeleteProjectResponse } from '@silo/protos/gen/silo/project/v1/project_service.ts';
import type { Cli } from '../cli.ts';
import { present } from '../find.ts';
import { deletedBlocks } from '../render/projects.ts';
import { propagationBlocks } from '../render/propagation.ts';

export function projectDelete(cli: Cli) {
  return new Command('delete')
    .description('Delete a project: access ends at once, its data is purged after 7 days.')
    .argument('<project>', 'name, Organization/Name, or id')
    .option('--yes', 'do not ask for the project’s name')
    .action(async (given, { yes }) => {
      const { api, find } = await cli.signedIn();
      const { id, name, organizationId, etag } = await find.project(given);
      if (!yes) {
        cli.note(
          `${name} (${id}) of ${organizationId} will be deleted: everybody loses access at once.`,
        );
        await cli.ask.confirmByTyping('the project’s name', name);
      }
      // What was confirmed is what is deleted.
      const request = { projectId: id, etag: yes ? '' : etag, requestId: '' };
      const answer = await api.projects.deleteProject(request);
      const blocks = deletedBlocks(present(answer.project));
      cli.answer(DeleteProjectResponse, answer, [
        ...blocks,
        ...propagationBlocks(answer.propagation),
      ]);
    });
}
