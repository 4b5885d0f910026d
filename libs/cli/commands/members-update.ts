import { Command, Option } from '@commander-js/extra-typings';
import type { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { Member } from '@silo/protos/gen/silo/org/v1/organization.ts';
import { UpdateMemberResponse } from '@silo/protos/gen/silo/org/v1/organization_service.ts';
import { chooseText } from '../choose.ts';
import type { Cli } from '../cli.ts';
import { present } from '../find.ts';
import { forOrg } from '../for-org.ts';
import { membersBlocks } from '../render/organizations.ts';
import { propagationBlocks } from '../render/propagation.ts';
import { levelNamed, levelNames } from '../render/values.ts';

export function membersUpdate(cli: Cli) {
  return new Command('update')
    .description('Change a member’s level.')
    .argument('[member]', 'e-mail or account id; prompted for if not given')
    .addOption(new Option('--level <level>', 'the new level').choices(levelNames))
    .option('--org <organization>', 'name or id; default: that of the current project')
    .option('--yes', 'do not prompt when you lower your own level')
    .action((given, { level: givenLevel, org, yes }) =>
      forOrg(org, async () => {
        const { api, find } = await cli.signedIn();
        const organizationId = await find.idOf.organization(org);
        const found = await find.member(organizationId, given);
        const { accountId, etag } = found;
        const level =
          givenLevel ?? (await chooseText(cli.prompt, 'New level:', levelNames, 'give --level.'));
        const changed = { organizationId, accountId, etag, level: levelNamed(level) };
        if (!yes) await agree(cli, found, changed.level);
        const answer = await api.organizations.updateMember({
          member: Member.fromPartial(changed),
          updateMask: ['level'],
          requestId: '',
        });
        cli.answer(UpdateMemberResponse, answer, [
          ...membersBlocks([present(answer.member)]),
          ...propagationBlocks(answer.propagation),
        ]);
      }),
    );
}

/** Prompts for confirmation if the user lowers the user's own level. */
async function agree(cli: Cli, member: Member, level: Level): Promise<void> {
  const { profile, lookUp } = await cli.signedIn();
  if (member.accountId !== profile.account.id || level >= member.level) return;
  const nameOf = await lookUp([member.organizationId]);
  cli.note([
    'You will have less access to ',
    nameOf(member.organizationId),
    ', and cannot restore it yourself.',
  ]);
  await cli.prompt.confirmByTyping('the member’s e-mail', member.email);
}
