import { Command, Option } from '@commander-js/extra-typings';
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
    .action((given, { level: givenLevel, org }) =>
      forOrg(org, async () => {
        const { api, find } = await cli.signedIn();
        const organizationId = await find.idOf.organization(org);
        const { accountId, etag } = await find.member(organizationId, given);
        const level =
          givenLevel ?? (await chooseText(cli.prompt, 'New level:', levelNames, 'give --level.'));
        const answer = await api.organizations.updateMember({
          member: Member.fromPartial({ organizationId, accountId, etag, level: levelNamed(level) }),
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
