import { Command, Option } from '@commander-js/extra-typings';
import { Organization } from '@silo/protos/gen/silo/org/v1/organization.ts';
import {
  GetOrganizationResponse,
  UpdateOrganizationResponse,
} from '@silo/protos/gen/silo/org/v1/organization_service.ts';
import { textOf } from '../checks.ts';
import type { Cli } from '../cli.ts';
import { present } from '../find.ts';
import { organizationBlocks } from '../render/organizations.ts';
import { propagationBlocks } from '../render/propagation.ts';

export function orgRename(cli: Cli) {
  return new Command('rename')
    .description('Rename an organization.')
    .argument('[organization]', 'name or id; prompted for if not given')
    .argument('[new-name]', 'the new name, 1-64 characters; prompted for if not given')
    .action(async (given, newName) => {
      const { api, find } = await cli.signedIn();
      const id = await find.idOf.chosenOrganization(given);
      const name =
        newName ?? (await cli.prompt.text('New name:', 'give a name.', { check: textOf(64) }));
      const answer = await api.organizations.updateOrganization({
        organization: Organization.fromPartial({ id, name }),
        updateMask: ['name'],
        requestId: '',
      });
      const blocks = organizationBlocks(present(answer.organization));
      cli.answer(UpdateOrganizationResponse, answer, blocks);
    });
}

export function orgSettings(cli: Cli) {
  return new Command('settings')
    .description('Show an organization’s settings, or change those that are given.')
    .argument('[organization]', 'name or id; default: that of the current project')
    .addOption(
      new Option(
        '--projects-by <who>',
        'the members that may create projects, and move some here',
      ).choices(['members', 'admins'] as const),
    )
    .action(async (given, { projectsBy }) => {
      const { api, find } = await cli.signedIn();
      const organization = await find.organization(given);
      if (projectsBy === undefined) {
        cli.answer(GetOrganizationResponse, { organization }, organizationBlocks(organization));
        return;
      }
      const { id, etag } = organization;
      const answer = await api.organizations.updateOrganization({
        organization: Organization.fromPartial({
          id,
          etag,
          membersMayCreateProjects: projectsBy === 'members',
        }),
        updateMask: ['members_may_create_projects'],
        requestId: '',
      });
      cli.answer(UpdateOrganizationResponse, answer, [
        ...organizationBlocks(present(answer.organization)),
        ...propagationBlocks(answer.propagation),
      ]);
    });
}
