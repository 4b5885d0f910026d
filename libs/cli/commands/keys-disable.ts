import { Command } from '@commander-js/extra-typings';
import {
  DisableApiKeyResponse,
  EnableApiKeyResponse,
} from '@silo/protos/gen/silo/token/v1/api_key_service.ts';
import type { Cli } from '../cli.ts';
import { present } from '../find.ts';
import { keyBlocks, reachIds } from '../render/keys.ts';
import { propagationBlocks } from '../render/propagation.ts';

export function keysDisable(cli: Cli) {
  return new Command('disable')
    .description('Make a key useless until it is enabled again.')
    .argument('[key]', 'name or id; prompted for if not given')
    .action(async (given) => {
      const { api, find, lookUp } = await cli.signedIn();
      const keyId = await find.idOf.key(given);
      const answer = await api.apiKeys.disableApiKey({ keyId, etag: '', requestId: '' });
      const apiKey = present(answer.apiKey);
      const nameOf = await lookUp(reachIds([apiKey]));
      cli.answer(DisableApiKeyResponse, answer, [
        ...keyBlocks(apiKey, nameOf),
        ...propagationBlocks(answer.propagation),
      ]);
    });
}

export function keysEnable(cli: Cli) {
  return new Command('enable')
    .description('Make a disabled key useful again.')
    .argument('[key]', 'name or id; prompted for if not given')
    .action(async (given) => {
      const { api, find, lookUp } = await cli.signedIn();
      const keyId = await find.idOf.key(given);
      const answer = await api.apiKeys.enableApiKey({ keyId, etag: '', requestId: '' });
      const apiKey = present(answer.apiKey);
      const nameOf = await lookUp(reachIds([apiKey]));
      cli.answer(EnableApiKeyResponse, answer, keyBlocks(apiKey, nameOf));
    });
}
