import { Command } from '@commander-js/extra-typings';
import type { Organization } from '@silo/protos/gen/silo/org/v1/organization.ts';
import { DeleteOrganizationResponse } from '@silo/protos/gen/silo/org/v1/organization_service.ts';
import type { Cli } from '../cli.ts';
import { named } from '../names.ts';
import { propagationBlocks } from '../render/propagation.ts';

export function orgDelete(cli: Cli) {
  return new Command('delete')
    .description('Delete an organization that has no project, for ever.')
    .argument('[organization]', 'name or id; prompted for if not given')
    .option('--yes', 'do not prompt for the organization’s name')
    .option(
      '--end-deleted-projects',
      'also lose for ever its deleted projects, which could still be undeleted',
    )
    .action(async (given, { yes, endDeletedProjects = false }) => {
      const { api, find } = await cli.signedIn();
      const organizationId = yes
        ? await find.idOf.chosenOrganization(given)
        : await agree(cli, await find.chosenOrganization(given), endDeletedProjects);
      const flags = endDeletedProjects ? ['--end-deleted-projects', '--yes'] : ['--yes'];
      cli.repeatedBy('org', 'delete', organizationId, ...flags);
      const request = { organizationId, etag: '', requestId: '', endDeletedProjects };
      const answer = await api.organizations.deleteOrganization(request);
      cli.answer(DeleteOrganizationResponse, answer, [
        [{ text: 'Deleted', style: 'good', id: organizationId }, '.'],
        ...propagationBlocks(answer.propagation),
      ]);
    });
}

/** Prompts for confirmation; returns the id of the organization to delete. */
async function agree(
  cli: Cli,
  organization: Organization,
  endDeletedProjects: boolean,
): Promise<string> {
  const what = named(organization);
  cli.note([what, ' will be deleted, with its members, invites and subscription.']);
  if (endDeletedProjects) {
    cli.note(
      'Its deleted projects, which can still be undeleted, are lost for ever with their data.',
    );
  }
  await cli.prompt.confirmByTyping('the organization’s name', organization.name);
  return organization.id;
}
