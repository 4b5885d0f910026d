import { Command } from '@commander-js/extra-typings';
import { LeaveOrganizationResponse } from '@silo/protos/gen/silo/org/v1/organization_service.ts';
import type { Cli } from '../cli.ts';
import { propagationBlocks } from '../render/propagation.ts';

export function orgLeave(cli: Cli) {
  return new Command('leave')
    .description('End your own membership of an organization.')
    .argument('<organization>', 'name or id')
    .option('--yes', 'do not ask for the organization’s name')
    .action(async (given, { yes }) => {
      const { api, find } = await cli.signedIn();
      const { id, name } = await find.organization(given);
      if (!yes) {
        cli.note(`You, and your keys, will lose all access to ${name} (${id}) and its projects.`);
        await cli.ask.confirmByTyping('the organization’s name', name);
      }
      const request = { organizationId: id, requestId: '' };
      const answer = await api.organizations.leaveOrganization(request);
      cli.answer(LeaveOrganizationResponse, answer, [
        `You have left ${name}.`,
        ...propagationBlocks(answer.propagation),
      ]);
    });
}
