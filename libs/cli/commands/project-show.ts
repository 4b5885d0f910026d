import { Command } from '@commander-js/extra-typings';
import { GetProjectResponse } from '@silo/protos/gen/silo/project/v1/project_service.ts';
import type { Cli } from '../cli.ts';
import { projectBlocks } from '../render/projects.ts';

export function projectShow(cli: Cli) {
  return new Command('show')
    .description('Show a project.')
    .argument('[project]', 'name, Organization/Name, or id; default: the current one')
    .action(async (given) => {
      const { find, lookUp } = await cli.signedIn();
      const project = await find.project(given);
      const nameOf = await lookUp([project.organizationId]);
      cli.answer(GetProjectResponse, { project }, projectBlocks(project, nameOf));
    });
}
