import { Command } from '@commander-js/extra-typings';
import type { Organization } from '@silo/protos/gen/silo/org/v1/organization.ts';
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
      const organizationId = yes
        ? await find.idOf.organization(given)
        : await agree(cli, await find.organization(given));
      cli.repeatedBy('org', 'delete', organizationId, '--yes');
      const request = { organizationId, etag: '', requestId: '' };
      const answer = await api.organizations.deleteOrganization(request);
      cli.answer(DeleteOrganizationResponse, answer, [
        `Deleted ${given}.`,
        ...propagationBlocks(answer.propagation),
      ]);
    });
}

/** Asks; answers which one to delete. */
async function agree(cli: Cli, { id, name }: Organization): Promise<string> {
  cli.note(`${name} (${id}) will be deleted, with its members, invites and subscription.`);
  await cli.ask.confirmByTyping('the organization’s name', name);
  return id;
}
