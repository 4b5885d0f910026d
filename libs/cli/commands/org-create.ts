import { Command } from '@commander-js/extra-typings';
import { CreateOrganizationResponse } from '@silo/protos/gen/silo/org/v1/organization_service.ts';
import { textOf } from '../checks.ts';
import type { Cli } from '../cli.ts';
import { present } from '../find.ts';
import { named } from '../names.ts';
import { facts } from '../render/values.ts';
import { workIn } from '../work-in.ts';

export function orgCreate(cli: Cli) {
  return new Command('create')
    .description('Create an organization with a Default Project to work in, on the free plan.')
    .argument('[name]', 'name, 1-64 characters; prompted for if not given')
    .action(async (given) => {
      const { api, lookUp } = await cli.signedIn();
      const name = given ?? (await cli.prompt.text('Name:', 'give a name.', { check: textOf(64) }));
      const answer = await api.organizations.createOrganization({ name, requestId: '' });
      const { projectId, projectToken } = answer;
      const organization = present(answer.organization);
      const isCurrent = await workIn(cli, api, projectId);
      const nameOf = await lookUp([projectId]);
      cli.answer(CreateOrganizationResponse, answer, [
        [{ text: 'Created', style: 'good' }, ' ', named(organization), '.'],
        ...facts(['project', nameOf(projectId)], ['token', projectToken]),
        ...(isCurrent ? [['Working in ', nameOf(projectId), '.']] : []),
      ]);
    });
}
