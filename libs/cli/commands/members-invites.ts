import { Command } from '@commander-js/extra-typings';
import {
  DeleteInviteResponse,
  ListInvitesResponse,
} from '@silo/protos/gen/silo/org/v1/organization_service.ts';
import { everyPage } from '../api.ts';
import type { Cli } from '../cli.ts';
import { forOrg } from '../for-org.ts';
import { invitesBlocks } from '../render/organizations.ts';

export function membersInvites(cli: Cli) {
  return new Command('invites')
    .description('List the open invites.')
    .option('--org <organization>', 'name or id; default: that of the current project')
    .action(({ org }) =>
      forOrg(org, async () => {
        const { api, find } = await cli.signedIn();
        const organizationId = await find.idOf.organization(org);
        const pages = await everyPage((page) =>
          api.organizations.listInvites({ organizationId, ...page }),
        );
        const invites = pages.flatMap((page) => page.invites);
        cli.answer(ListInvitesResponse, { invites, nextPageToken: '' }, invitesBlocks(invites));
      }),
    );
}

export function membersWithdraw(cli: Cli) {
  return new Command('withdraw')
    .description('Withdraw an invite: its code stops working.')
    .argument('[invite]', 'e-mail or id; prompted for if not given')
    .option('--org <organization>', 'name or id; default: that of the current project')
    .action((given, { org }) =>
      forOrg(org, async () => {
        const { api, find } = await cli.signedIn();
        const organizationId = await find.idOf.organization(org);
        const inviteId = await find.idOf.invite(organizationId, given);
        const request = { organizationId, inviteId, requestId: '' };
        const answer = await api.organizations.deleteInvite(request);
        cli.answer(DeleteInviteResponse, answer, ['Withdrawn.']);
      }),
    );
}
