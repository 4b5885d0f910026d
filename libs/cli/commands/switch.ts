import { Command } from '@commander-js/extra-typings';
import { Account, UpdateAccountResponse } from '@silo/protos/gen/silo/org/v1/account_service.ts';
import type { Project } from '@silo/protos/gen/silo/project/v1/project.ts';
import { chooseProject } from '../choose.ts';
import type { Cli } from '../cli.ts';

export function switchProject(cli: Cli) {
  return new Command('switch')
    .description('Choose the project that you work in: type to filter.')
    .argument('[project]', 'name, Organization/Name, or id')
    .action(async (given) => {
      const { api, find } = await cli.signedIn();
      const project: Project =
        given === undefined ? await chooseProject(cli, 'Work in:') : await find.project(given);
      const answer = await api.accounts.updateAccount({
        account: Account.fromPartial({ currentProjectId: project.id }),
        updateMask: ['current_project_id'],
        requestId: '',
      });
      cli.answer(UpdateAccountResponse, answer, [
        [{ text: 'Working in', style: 'good' }, ` ${project.name} (${project.id}).`],
      ]);
    });
}
