import { Command } from '@commander-js/extra-typings';
import { ApiKey, CreateApiKeyResponse } from '@silo/protos/gen/silo/token/v1/api_key_service.ts';
import { textOf } from '../checks.ts';
import { chooseText } from '../choose.ts';
import type { Cli } from '../cli.ts';
import { present } from '../find.ts';
import { secretBlocks } from '../render/keys.ts';
import { allScopes, expiryOption, scopeOption } from './key-options.ts';
import { reachOf } from './key-reach.ts';

export function keysCreate(cli: Cli) {
  return new Command('create')
    .description('Create a key, and show it once.')
    .argument('[name]', 'name, 1-100 characters; prompted for if not given')
    .addOption(scopeOption())
    .option('--org <organization...>', 'restrict it to these organizations')
    .option('--project <project...>', 'restrict it to these projects')
    .addOption(expiryOption())
    .action(async (given, { scope, org, project, expires }) => {
      const { api, find } = await cli.signedIn();
      const name =
        given ?? (await cli.prompt.text('Name:', 'give a name.', { check: textOf(100) }));
      const scopes = scope ?? [
        await chooseText(cli.prompt, 'What it may do:', allScopes, 'give --scope.'),
      ];
      const reach = await reachOf(find, { org, project });
      const answer = await api.apiKeys.createApiKey({
        apiKey: ApiKey.fromPartial({
          name,
          scopes,
          ...reach,
          ...(expires && { expireTime: expires }),
        }),
        requestId: '',
      });
      const blocks = secretBlocks(present(answer.apiKey), answer.secret);
      cli.answer(CreateApiKeyResponse, answer, blocks);
    });
}
