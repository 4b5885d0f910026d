import { Command } from '@commander-js/extra-typings';
import { ListApiKeysResponse } from '@silo/protos/gen/silo/token/v1/api_key_service.ts';
import { fingerprintOf } from '@silo/tokens/secrets.ts';
import { everyPage } from '../api.ts';
import type { Cli } from '../cli.ts';
import { keysBlocks, reachIds } from '../render/keys.ts';

export function keysList(cli: Cli) {
  return new Command('list')
    .description('List your keys; the one that you are signed in with is marked.')
    .action(async () => {
      const { api, profile, lookUp } = await cli.signedIn();
      const pages = await everyPage((page) => api.apiKeys.listApiKeys(page));
      const apiKeys = pages.flatMap((page) => page.apiKeys);
      const nameOf = await lookUp(reachIds(apiKeys));
      const blocks = keysBlocks(apiKeys, fingerprintOf(profile.apiKey), nameOf);
      cli.answer(ListApiKeysResponse, { apiKeys, nextPageToken: '' }, blocks);
    });
}
