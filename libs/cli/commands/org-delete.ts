import { Command } from '@commander-js/extra-typings';
import { DeleteOrganizationResponse } from '@silo/protos/gen/silo/org/v1/organization_service.ts';
import type { Cli } from '../cli.ts';
import { propagationBlocks } from '../render/propagation.ts';

export function orgDelete(cli: Cli) {
  return new Command('delete')
    .description('Delete an organization that has no project, for ever.')
    .argument('<organization>', 'name or id')
    .option('--yes', 'do not ask for the organization’s name')
    .action(async (given, { yes }) => {
      const { api, find } = await cli.signedIn();
      const { id, name, etag } = await find.organization(given);
      if (!yes) {
        cli.note(`${name} (${id}) will be deleted, with its members, invites and subscription.`);
        await cli.ask.confirmByTyping('the organization’s name', name);
      }
      const request = { organizationId: id, etag: yes ? '' : etag, requestId: '' };
      const answer = await api.organizations.deleteOrganization(request);
      cli.answer(DeleteOrganizationResponse, answer, [
        `Deleted ${name}.`,
        ...propagationBlocks(answer.propagation),
      ]);
    });
}
