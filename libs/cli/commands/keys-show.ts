import { Command } from '@commander-js/extra-typings';
import { GetApiKeyResponse } from '@silo/protos/gen/silo/token/v1/api_key_service.ts';
import type { Cli } from '../cli.ts';
import { keyBlocks, reachIds } from '../render/keys.ts';

export function keysShow(cli: Cli) {
  return new Command('show')
    .description('Show a key, without its secret.')
    .argument('[key]', 'name or id; prompted for if not given')
    .action(async (given) => {
      const { find, lookUp } = await cli.signedIn();
      const apiKey = await find.key(given);
      const nameOf = await lookUp(reachIds([apiKey]));
      cli.answer(GetApiKeyResponse, { apiKey }, keyBlocks(apiKey, nameOf));
    });
}
