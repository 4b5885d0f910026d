import { Command } from '@commander-js/extra-typings';
import { RemoveMemberResponse } from '@silo/protos/gen/silo/org/v1/organization_service.ts';
import type { Cli } from '../cli.ts';
import { propagationBlocks } from '../render/propagation.ts';

export function membersRemove(cli: Cli) {
  return new Command('remove')
    .description('Remove a member: access ends at once, that of the member’s keys too.')
    .argument('<member>', 'e-mail, name or account id')
    .option('--org <organization>', 'name or id; default: that of the current project')
    .option('--yes', 'do not ask for the member’s e-mail')
    .action(async (given, { org, yes }) => {
      const { api, find } = await cli.signedIn();
      const organization = await find.organization(org);
      const { accountId, displayName, email, etag } = await find.member(organization.id, given);
      if (!yes) {
        cli.note(`${displayName} (${email}) will lose all access to ${organization.name}.`);
        await cli.ask.confirmByTyping('the member’s e-mail', email);
      }
      const answer = await api.organizations.removeMember({
        organizationId: organization.id,
        accountId,
        etag: yes ? '' : etag,
        requestId: '',
      });
      cli.answer(RemoveMemberResponse, answer, [
        `Removed ${email} from ${organization.name}.`,
        ...propagationBlocks(answer.propagation),
      ]);
    });
}
