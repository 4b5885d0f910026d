import { Command, Option } from '@commander-js/extra-typings';
import { InviteMemberResponse } from '@silo/protos/gen/silo/org/v1/organization_service.ts';
import { anEmail } from '../checks.ts';
import type { Cli } from '../cli.ts';
import { present } from '../find.ts';
import { forOrg } from '../for-org.ts';
import { invitedBlocks } from '../render/organizations.ts';
import { levelNamed, levelNames } from '../render/values.ts';

export function membersInvite(cli: Cli) {
  return new Command('invite')
    .description('Invite an e-mail, and show the one-time code that you hand over.')
    .argument('[email]', 'only an account with this e-mail can accept; prompted for if not given')
    .addOption(
      new Option('--level <level>', 'what it may do')
        .choices(levelNames)
        .default('member' as const),
    )
    .option('--org <organization>', 'name or id; default: that of the current project')
    .action((given, { level, org }) =>
      forOrg(org, async () => {
        const { api, find } = await cli.signedIn();
        const organizationId = await find.idOf.organization(org);
        const email =
          given ?? (await cli.prompt.text('E-mail:', 'give an e-mail.', { check: anEmail }));
        const request = { organizationId, email, level: levelNamed(level), requestId: '' };
        const answer = await api.organizations.inviteMember(request);
        const blocks = invitedBlocks(present(answer.invite), answer.code);
        cli.answer(InviteMemberResponse, answer, blocks);
      }),
    );
}
