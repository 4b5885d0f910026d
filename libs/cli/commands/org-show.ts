import { Command } from '@commander-js/extra-typings';
import { GetOrganizationResponse } from '@silo/protos/gen/silo/org/v1/organization_service.ts';
import type { Cli } from '../cli.ts';
import { organizationBlocks } from '../render/organizations.ts';

export function orgShow(cli: Cli) {
  return new Command('show')
    .description('Show an organization.')
    .argument('[organization]', 'name or id; default: that of the current project')
    .action(async (given) => {
      const { find } = await cli.signedIn();
      const organization = await find.organization(given);
      cli.answer(GetOrganizationResponse, { organization }, organizationBlocks(organization));
    });
}
