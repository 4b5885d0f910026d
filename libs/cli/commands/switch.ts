import { Command } from '@commander-js/extra-typings';
import { Account, UpdateAccountResponse } from '@silo/protos/gen/silo/org/v1/account_service.ts';
import type { Cli } from '../cli.ts';
import { named } from '../names.ts';

export function switchProject(cli: Cli) {
  return new Command('switch')
    .description('Choose the project that you work in; type to filter the list.')
    .argument('[project]', 'name, Organization/Name, or id')
    .action(async (given) => {
      const { api, find } = await cli.signedIn();
      const project = await find.chosenProject(given, 'Work in:');
      const answer = await api.accounts.updateAccount({
        account: Account.fromPartial({ currentProjectId: project.id }),
        updateMask: ['current_project_id'],
        requestId: '',
      });
      cli.answer(UpdateAccountResponse, answer, [
        [{ text: 'Working in', style: 'good' }, ' ', named(project), '.'],
      ]);
    });
}
