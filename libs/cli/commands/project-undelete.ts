import { Command } from '@commander-js/extra-typings';
import { UndeleteProjectResponse } from '@silo/protos/gen/silo/project/v1/project_service.ts';
import type { Cli } from '../cli.ts';
import { present } from '../find.ts';
import { projectBlocks } from '../render/projects.ts';

export function projectUndelete(cli: Cli) {
  return new Command('undelete')
    .description('Undelete a project within 7 days: data, token and access return as before.')
    .argument('[project]', 'name, Organization/Name, or id; prompted for if not given')
    .action(async (given) => {
      const { api, find, lookUp } = await cli.signedIn();
      const projectId = await find.deletedProjectId(given);
      cli.repeatedBy('project', 'undelete', projectId);
      const answer = await api.projects.undeleteProject({ projectId, requestId: '' });
      const project = present(answer.project);
      const nameOf = await lookUp([project.organizationId]);
      const back = { text: 'Back', style: 'good' } as const;
      cli.answer(UndeleteProjectResponse, answer, [
        [back, ' in ', nameOf(project.organizationId), ', as it was.'],
        ...projectBlocks(project, nameOf),
      ]);
    });
}
