import { Command } from '@commander-js/extra-typings';
import { ListApiKeysResponse } from '@silo/protos/gen/silo/token/v1/api_key_service.ts';
import { fingerprintOf } from '@silo/tokens/secrets.ts';
import { everyPage } from '../api.ts';
import type { Cli } from '../cli.ts';
import { keysBlocks } from '../render/keys.ts';

export function keysList(cli: Cli) {
  return new Command('list')
    .description('List them; the one that you are signed in with is marked.')
    .action(async () => {
      const { api, profile } = await cli.signedIn();
      const pages = await everyPage((page) => api.apiKeys.listApiKeys(page));
      const apiKeys = pages.flatMap((page) => page.apiKeys);
      const blocks = keysBlocks(apiKeys, fingerprintOf(profile.apiKey));
      cli.answer(ListApiKeysResponse, { apiKeys, nextPageToken: '' }, blocks);
    });
}
