import { Command } from '@commander-js/extra-typings';
import type { Project } from '@silo/protos/gen/silo/project/v1/project.ts';
import { DeleteProjectResponse } from '@silo/protos/gen/silo/project/v1/project_service.ts';
import type { Cli } from '../cli.ts';
import { endedMigrations } from '../ended-migrations.ts';
import { present } from '../find.ts';
import { named } from '../names.ts';
import { deletedBlocks } from '../render/projects.ts';
import { propagationBlocks } from '../render/propagation.ts';

export function projectDelete(cli: Cli) {
  return new Command('delete')
    .description('Delete a project: access ends at once, its data is purged after 7 days.')
    .argument('[project]', 'name, Organization/Name, or id; prompted for if not given')
    .option('--yes', 'do not prompt for the project’s name')
    .action(async (given, { yes }) => {
      const { api, find } = await cli.signedIn();
      const projectId = yes
        ? await find.idOf.chosenProject(given)
        : await agree(cli, await find.chosenProject(given));
      cli.repeatedBy('project', 'delete', projectId, '--yes');
      const answer = await api.projects.deleteProject({ projectId, etag: '', requestId: '' });
      const blocks = deletedBlocks(present(answer.project));
      cli.answer(DeleteProjectResponse, answer, [
        ...blocks,
        ...propagationBlocks(answer.propagation),
      ]);
    });
}

/** Prompts for confirmation; returns the id of the project to delete. */
async function agree(cli: Cli, project: Project): Promise<string> {
  const { lookUp } = await cli.signedIn();
  const { id, organizationId } = project;
  const [nameOf, ended] = await Promise.all([
    lookUp([organizationId]),
    endedMigrations(cli, organizationId, [id]),
  ]);
  cli.note(
    [
      ...[named(project), ' of ', nameOf(organizationId)],
      ' will be deleted: everybody loses access at once.',
    ],
    ...ended,
  );
  await cli.prompt.confirmByTyping('the project’s name', project.name);
  return project.id;
}
