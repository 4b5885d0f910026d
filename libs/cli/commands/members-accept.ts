import { Command } from '@commander-js/extra-typings';
import { AcceptInviteResponse } from '@silo/protos/gen/silo/org/v1/organization_service.ts';
import type { Cli } from '../cli.ts';
import { present } from '../find.ts';
import { organizationBlocks } from '../render/organizations.ts';

export function membersAccept(cli: Cli) {
  return new Command('accept')
    .description('Accept an invite by its code, typed without echo or piped into stdin.')
    .action(async () => {
      const { api } = await cli.signedIn();
      const code = await cli.prompt.secret('Code of the invite:');
      const answer = await api.organizations.acceptInvite({ code, requestId: '' });
      const organization = present(answer.organization);
      cli.answer(AcceptInviteResponse, answer, [
        [{ text: 'Joined', style: 'good' }, ` ${organization.name}.`],
        ...organizationBlocks(organization),
      ]);
    });
}
