import { Command } from '@commander-js/extra-typings';
import { Project } from '@silo/protos/gen/silo/project/v1/project.ts';
import { UpdateProjectResponse } from '@silo/protos/gen/silo/project/v1/project_service.ts';
import { textOf } from '../checks.ts';
import type { Cli } from '../cli.ts';
import { present } from '../find.ts';
import { projectBlocks } from '../render/projects.ts';

export function projectRename(cli: Cli) {
  return new Command('rename')
    .description('Rename a project.')
    .argument('[project]', 'name, Organization/Name, or id; prompted for if not given')
    .argument('[new-name]', 'the new name, 1-200 characters; prompted for if not given')
    .action(async (given, newName) => {
      const { api, find, lookUp } = await cli.signedIn();
      const id = await find.idOf.chosenProject(given);
      const name =
        newName ?? (await cli.prompt.text('New name:', 'give a name.', { check: textOf(200) }));
      const project = Project.fromPartial({ id, name });
      const answer = await api.projects.updateProject({
        project,
        updateMask: ['name'],
        requestId: '',
      });
      const renamed = present(answer.project);
      const nameOf = await lookUp([renamed.organizationId]);
      cli.answer(UpdateProjectResponse, answer, projectBlocks(renamed, nameOf));
    });
}
