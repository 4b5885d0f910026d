import { GetAccountResponse } from '@silo/protos/gen/silo/org/v1/account_service.ts';
import { isWellFormed, secretPrefixes } from '@silo/tokens/secrets.ts';
import type { Cli } from '../cli.ts';
import { usage } from '../failure.ts';
import { present } from '../find.ts';
import { signedInBlocks } from '../render/accounts.ts';
import { chooseDeployment, commandWithDeployment } from './deployment-options.ts';

export function login(cli: Cli) {
  return commandWithDeployment('login')
    .description('Try an API key, typed without echo or piped into stdin, then store it.')
    .addHelpText(
      'after',
      '\nThe key needs the scope account:read, and the scopes of the commands that you will use:\n' +
        '  silo keys create NAME --scope account:read project:read\n',
    )
    .action(async (options) => {
      const { name, deployment } = await chooseDeployment(cli, options);
      const apiKey = await cli.prompt.secret(`API key for ${name} (phx_…, from silo keys create):`);
      // Finds a mistyped key before anything is sent.
      if (!isWellFormed(apiKey, secretPrefixes.apiKey)) {
        throw usage(
          'That is not an API key: an API key begins with phx_ and is 53 characters long.',
        );
      }
      const answer = await cli.connect(deployment, apiKey).accounts.getAccount({});
      const { id, email } = present(answer.account);
      const profile = { ...deployment, account: { id, email }, apiKey };
      await cli.profiles.write(name, profile);
      await cli.profiles.choose(name);
      cli.answer(
        GetAccountResponse,
        answer,
        signedInBlocks(name, profile, cli.profiles.file(name)),
      );
    });
}
