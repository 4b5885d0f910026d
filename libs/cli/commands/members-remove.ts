import { Command } from '@commander-js/extra-typings';
import type { Member } from '@silo/protos/gen/silo/org/v1/organization.ts';
import { RemoveMemberResponse } from '@silo/protos/gen/silo/org/v1/organization_service.ts';
import type { Cli } from '../cli.ts';
import { forOrg } from '../for-org.ts';
import { personText } from '../names.ts';
import { propagationBlocks } from '../render/propagation.ts';

export function membersRemove(cli: Cli) {
  return new Command('remove')
    .description('Remove a member: access ends at once, also for the member’s keys.')
    .argument('[member]', 'e-mail or account id; prompted for if not given')
    .option('--org <organization>', 'name or id; default: that of the current project')
    .option('--yes', 'do not prompt for the member’s e-mail')
    .action((given, { org, yes }) =>
      forOrg(org, async () => {
        const { api, find } = await cli.signedIn();
        const organizationId = await find.idOf.organization(org);
        const accountId = yes
          ? await find.idOf.member(organizationId, given)
          : await agree(cli, await find.member(organizationId, given));
        cli.repeatedBy('members', 'remove', accountId, '--org', organizationId, '--yes');
        const request = { organizationId, accountId, etag: '', requestId: '' };
        const answer = await api.organizations.removeMember(request);
        cli.answer(RemoveMemberResponse, answer, [
          [{ text: 'Removed', style: 'good', id: accountId }, '.'],
          ...propagationBlocks(answer.propagation),
        ]);
      }),
    );
}

/** Prompts for confirmation; returns the member to remove. */
async function agree(cli: Cli, member: Member) {
  const { lookUp } = await cli.signedIn();
  const nameOf = await lookUp([member.organizationId]);
  const who = { text: personText(member), id: member.accountId };
  cli.note([who, ' will lose all access to ', nameOf(member.organizationId), '.']);
  await cli.prompt.confirmByTyping('the member’s e-mail', member.email);
  return member.accountId;
}
