import { Command } from '@commander-js/extra-typings';
import type { Organization } from '@silo/protos/gen/silo/org/v1/organization.ts';
import { LeaveOrganizationResponse } from '@silo/protos/gen/silo/org/v1/organization_service.ts';
import type { Cli } from '../cli.ts';
import { forOrg } from '../for-org.ts';
import { named } from '../names.ts';
import { propagationBlocks } from '../render/propagation.ts';

export function orgLeave(cli: Cli) {
  return new Command('leave')
    .description('End your own membership of an organization.')
    .argument('[organization]', 'name or id; prompted for if not given')
    .option('--yes', 'do not prompt for the organization’s name')
    .action((given, { yes }) =>
      forOrg(given, async () => {
        const { api, find } = await cli.signedIn();
        const organizationId = yes
          ? await find.idOf.chosenOrganization(given)
          : await agree(cli, await find.chosenOrganization(given));
        cli.repeatedBy('org', 'leave', organizationId, '--yes');
        const answer = await api.organizations.leaveOrganization({ organizationId, requestId: '' });
        cli.answer(LeaveOrganizationResponse, answer, [
          [{ text: 'You have left it', style: 'good', id: organizationId }, '.'],
          ...propagationBlocks(answer.propagation),
        ]);
      }),
    );
}

/** Prompts for confirmation; returns the id of the organization to leave. */
async function agree(cli: Cli, organization: Organization): Promise<string> {
  const what = named(organization);
  cli.note(['You, and your keys, will lose all access to ', what, ' and its projects.']);
  await cli.prompt.confirmByTyping('the organization’s name', organization.name);
  return organization.id;
}
