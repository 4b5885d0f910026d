import { Command } from '@commander-js/extra-typings';
import { CreateOrganizationResponse } from '@silo/protos/gen/silo/org/v1/organization_service.ts';
import type { Cli } from '../cli.ts';
import { facts } from '../render/values.ts';

export function orgCreate(cli: Cli) {
  return new Command('create')
    .description('Create an organization with a Default Project, on the free plan.')
    .argument('<name>', 'name, 1-64 characters')
    .action(async (name) => {
      const { api } = await cli.signedIn();
      const answer = await api.organizations.createOrganization({ name, requestId: '' });
      cli.answer(CreateOrganizationResponse, answer, [
        [{ text: 'Created', style: 'good' }, ` ${name}.`],
        ...facts(
          ['organization', answer.organization?.id],
          ['project', answer.projectId],
          ['token', answer.projectToken],
        ),
      ]);
    });
}
