import { Command } from '@commander-js/extra-typings';
import { UndeleteProjectResponse } from '@silo/protos/gen/silo/project/v1/project_service.ts';
import { isId } from '@silo/tokens/ids.ts';
import type { Cli } from '../cli.ts';
import { usage } from '../failure.ts';
import { present } from '../find.ts';
import { projectBlocks } from '../render/projects.ts';

export function projectUndelete(cli: Cli) {
  return new Command('undelete')
    .description('Bring a deleted project back, within 7 days: data, token and access as before.')
    .argument('<project-id>', 'id, prj_…: silo activity tells it')
    .action(async (projectId) => {
      if (!isId('project', projectId)) {
        throw usage('A deleted project is named by its id only.', 'silo activity shows it');
      }
      const { api } = await cli.signedIn();
      const answer = await api.projects.undeleteProject({ projectId, requestId: '' });
      const project = present(answer.project);
      cli.answer(UndeleteProjectResponse, answer, [
        [{ text: 'Back', style: 'good' }, ` in ${project.organizationId}, as it was.`],
        ...projectBlocks(project),
      ]);
    });
}
