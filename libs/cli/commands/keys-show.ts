import { Command } from '@commander-js/extra-typings';
import { GetApiKeyResponse } from '@silo/protos/gen/silo/token/v1/api_key_service.ts';
import type { Cli } from '../cli.ts';
import { keyBlocks } from '../render/keys.ts';

export function keysShow(cli: Cli) {
  return new Command('show')
    .description('Show a key, without its secret.')
    .argument('<key>', 'name or id')
    .action(async (given) => {
      const { find } = await cli.signedIn();
      const apiKey = await find.key(given);
      cli.answer(GetApiKeyResponse, { apiKey }, keyBlocks(apiKey));
    });
}
