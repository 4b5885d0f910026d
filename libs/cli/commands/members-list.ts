import { Command } from '@commander-js/extra-typings';
import { ListMembersResponse } from '@silo/protos/gen/silo/org/v1/organization_service.ts';
import { everyPage } from '../api.ts';
import type { Cli } from '../cli.ts';
import { forOrg } from '../for-org.ts';
import { membersBlocks } from '../render/organizations.ts';

export function membersList(cli: Cli) {
  return new Command('list')
    .description('List the members in the order in which they joined.')
    .option('--org <organization>', 'name or id; default: that of the current project')
    .action(({ org }) =>
      forOrg(org, async () => {
        const { api, find } = await cli.signedIn();
        const organizationId = await find.idOf.organization(org);
        const pages = await everyPage((page) =>
          api.organizations.listMembers({ organizationId, ...page }),
        );
        const members = pages.flatMap((page) => page.members);
        cli.answer(ListMembersResponse, { members, nextPageToken: '' }, membersBlocks(members));
      }),
    );
}
