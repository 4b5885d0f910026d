import { CreateAccountResponse } from '@silo/protos/gen/silo/org/v1/account_service.ts';
import type { Cli } from '../cli.ts';
import { usage } from '../failure.ts';
import { present } from '../find.ts';
import { signedInBlocks } from '../render/accounts.ts';
import { facts } from '../render/values.ts';
import { chooseDeployment, commandWithDeployment } from './deployment-options.ts';

export function signup(cli: Cli) {
  return commandWithDeployment('signup')
    .description('Create an account with an organization and a project, and store its first key.')
    .option('--email <email>', 'e-mail of the account')
    .option('--name <name>', 'your name')
    .option('--organization <name>', 'name of your organization')
    .action(async (options) => {
      const { name, deployment } = await chooseDeployment(cli, options);
      const { prompt } = cli;
      // Its key may be the only one of its account.
      if ((await cli.profiles.read(name)) !== undefined) {
        const next = `--profile with another name; or silo logout --profile ${name}`;
        throw usage(`There is a profile ${name} already.`, next);
      }
      await cli.profiles.prepare();
      const email = options.email ?? (await prompt.text('E-mail:', 'give --email.'));
      const displayName = options.name ?? (await prompt.text('Your name:', 'give --name.'));
      const organizationName =
        options.organization ??
        (await prompt.text('Name of your organization:', 'give --organization.'));
      const { accounts } = cli.connect(deployment);
      const request = { email, displayName, organizationName, requestId: '' };
      const answer = await accounts.createAccount(request);
      const { id } = present(answer.account);
      const profile = { ...deployment, account: { id, email }, apiKey: answer.apiKey };
      await cli.profiles.write(name, profile);
      await cli.profiles.choose(name);
      // The key is kept, not shown.
      cli.answer(CreateAccountResponse, { ...answer, apiKey: '' }, [
        ...signedInBlocks(name, profile, cli.profiles.file(name)),
        ...facts(
          ['organization', answer.organization?.id],
          ['project', answer.projectId],
          ['token', answer.projectToken],
        ),
      ]);
    });
}
