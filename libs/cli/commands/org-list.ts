import { Command } from '@commander-js/extra-typings';
import { ListOrganizationsResponse } from '@silo/protos/gen/silo/org/v1/organization_service.ts';
import type { Cli } from '../cli.ts';
import { organizationsBlocks } from '../render/organizations.ts';

export function orgList(cli: Cli) {
  return new Command('list')
    .description('List the organizations that you are a member of.')
    .action(async () => {
      const { find } = await cli.signedIn();
      const organizations = await find.organizations();
      const answer = { organizations, nextPageToken: '' };
      cli.answer(ListOrganizationsResponse, answer, organizationsBlocks(organizations));
    });
}
