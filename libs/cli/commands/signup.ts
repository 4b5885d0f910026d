import { CreateAccountResponse } from '@silo/protos/gen/silo/org/v1/account_service.ts';
import { anEmail, textOf } from '../checks.ts';
import type { Cli } from '../cli.ts';
import { usage } from '../failure.ts';
import { present } from '../find.ts';
import { fillIn } from '../form.ts';
import { createLookUp, named } from '../names.ts';
import { signedInBlocks } from '../render/accounts.ts';
import { facts } from '../render/values.ts';
import { workIn } from '../work-in.ts';
import { chooseDeployment, commandWithDeployment } from './deployment-options.ts';

export function signup(cli: Cli) {
  return commandWithDeployment('signup')
    .description('Create an account with an organization and a project, and store its first key.')
    .option('--email <email>', 'e-mail of the account')
    .option('--name <name>', 'your name')
    .option('--organization <name>', 'name of your organization')
    .action(async (options) => {
      const { name, deployment } = await chooseDeployment(cli, options);
      // The key of an existing profile may be the only key of its account.
      if ((await cli.profiles.read(name)) !== undefined) {
        const next = `--profile with another name; or silo logout --profile ${name}`;
        throw usage(`There is a profile ${name} already.`, next);
      }
      await cli.profiles.prepare();
      const { accounts } = cli.connect(deployment);
      const answer = await fillIn(cli, formOf(options), (values) =>
        accounts.createAccount({ ...values, requestId: '' }),
      );
      const { id, email } = present(answer.account);
      const profile = { ...deployment, account: { id, email }, apiKey: answer.apiKey };
      await cli.profiles.write(name, profile);
      await cli.profiles.choose(name);
      const api = cli.connect(deployment, answer.apiKey);
      const { projectId, projectToken } = answer;
      await workIn(cli, api, projectId);
      const nameOf = await createLookUp(api, profile.account)([projectId]);
      // The key is stored, not shown.
      cli.answer(CreateAccountResponse, { ...answer, apiKey: '' }, [
        ...signedInBlocks(name, profile, cli.profiles.file(name)),
        ...facts(
          ['organization', answer.organization && named(answer.organization)],
          ['project', nameOf(projectId)],
          ['token', projectToken],
        ),
      ]);
    });
}

type Options = {
  email?: string | undefined;
  name?: string | undefined;
  organization?: string | undefined;
};

function formOf({ email, name, organization }: Options) {
  return {
    email: {
      given: email,
      message: 'E-mail:',
      instead: 'give --email.',
      check: anEmail,
      fields: ['email'],
    },
    displayName: {
      given: name,
      message: 'Your name:',
      instead: 'give --name.',
      check: textOf(64),
      fields: ['display_name'],
    },
    organizationName: {
      given: organization,
      message: 'Name of your organization:',
      instead: 'give --organization.',
      check: textOf(64),
      fields: ['organization_name'],
    },
  };
}
