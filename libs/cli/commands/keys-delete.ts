import { Command } from '@commander-js/extra-typings';
import {
  type ApiKey,
  DeleteApiKeyResponse,
} from '@silo/protos/gen/silo/token/v1/api_key_service.ts';
import type { Cli } from '../cli.ts';
import { propagationBlocks } from '../render/propagation.ts';
import { agree } from './own-key.ts';

export function keysDelete(cli: Cli) {
  return new Command('delete')
    .description('Delete a key for ever.')
    .argument('[key]', 'name or id; prompted for if not given')
    .option('--yes', 'do not prompt for the key’s name')
    .action(async (given, { yes }) => {
      const { api, find } = await cli.signedIn();
      const keyId = yes ? await find.idOf.key(given) : await agreed(cli, await find.key(given));
      cli.repeatedBy('keys', 'delete', keyId, '--yes');
      const answer = await api.apiKeys.deleteApiKey({ keyId, etag: '', requestId: '' });
      cli.answer(DeleteApiKeyResponse, answer, [
        [{ text: 'Deleted', style: 'good', id: keyId }, '.'],
        ...propagationBlocks(answer.propagation),
      ]);
    });
}

/** Prompts for confirmation; returns the id of the key to delete. */
async function agreed(cli: Cli, key: ApiKey): Promise<string> {
  await agree(cli, key, 'will be refused everywhere, for ever.');
  return key.id;
}
