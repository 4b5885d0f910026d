import { Command } from '@commander-js/extra-typings';
import { Project } from '@silo/protos/gen/silo/project/v1/project.ts';
import { UpdateProjectResponse } from '@silo/protos/gen/silo/project/v1/project_service.ts';
import type { Cli } from '../cli.ts';
import { present } from '../find.ts';
import { projectBlocks } from '../render/projects.ts';

export function projectRename(cli: Cli) {
  return new Command('rename')
    .description('Give a project another name.')
    .argument('<project>', 'name, Organization/Name, or id')
    .argument('<new-name>', 'the new name, 1-200 characters')
    .action(async (given, name) => {
      const { api, find } = await cli.signedIn();
      const id = await find.idOf.project(given);
      const project = Project.fromPartial({ id, name });
      const answer = await api.projects.updateProject({
        project,
        updateMask: ['name'],
        requestId: '',
      });
      cli.answer(UpdateProjectResponse, answer, projectBlocks(present(answer.project)));
    });
}
