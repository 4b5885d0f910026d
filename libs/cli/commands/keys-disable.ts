import { Command } from '@commander-js/extra-typings';
import {
  type ApiKey,
  DisableApiKeyResponse,
  EnableApiKeyResponse,
} from '@silo/protos/gen/silo/token/v1/api_key_service.ts';
import type { Cli } from '../cli.ts';
import { present } from '../find.ts';
import { keyBlocks, reachIds } from '../render/keys.ts';
import { propagationBlocks } from '../render/propagation.ts';
import { agree, isOwn } from './own-key.ts';

export function keysDisable(cli: Cli) {
  return new Command('disable')
    .description('Disable a key: it is refused until it is enabled again.')
    .argument('[key]', 'name or id; prompted for if not given')
    .option('--yes', 'do not prompt when you are signed in with this key')
    .action(async (given, { yes }) => {
      const { api, find, lookUp } = await cli.signedIn();
      const keyId = yes ? await find.idOf.key(given) : await agreed(cli, await find.key(given));
      cli.repeatedBy('keys', 'disable', keyId, '--yes');
      const answer = await api.apiKeys.disableApiKey({ keyId, etag: '', requestId: '' });
      const apiKey = present(answer.apiKey);
      const nameOf = await lookUp(reachIds([apiKey]));
      cli.answer(DisableApiKeyResponse, answer, [
        ...keyBlocks(apiKey, nameOf),
        ...propagationBlocks(answer.propagation),
      ]);
    });
}

/** Prompts for confirmation if the user loses access; returns the id of the key to disable. */
async function agreed(cli: Cli, key: ApiKey): Promise<string> {
  if (await isOwn(cli, key)) {
    await agree(cli, key, 'will be refused everywhere, until another key of yours enables it.');
  }
  return key.id;
}

export function keysEnable(cli: Cli) {
  return new Command('enable')
    .description('Enable a disabled key again.')
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
