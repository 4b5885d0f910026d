import { Command } from '@commander-js/extra-typings';
import { DeleteApiKeyResponse } from '@silo/protos/gen/silo/token/v1/api_key_service.ts';
import { fingerprintOf } from '@silo/tokens/secrets.ts';
import type { Cli } from '../cli.ts';
import { propagationBlocks } from '../render/propagation.ts';

export function keysDelete(cli: Cli) {
  return new Command('delete')
    .description('Delete a key for ever.')
    .argument('<key>', 'name or id')
    .option('--yes', 'do not ask for the key’s name')
    .action(async (given, { yes }) => {
      const { api, find, profile } = await cli.signedIn();
      const { id, name, masked, fingerprint, etag } = await find.key(given);
      if (!yes) {
        const own = fingerprint === fingerprintOf(profile.apiKey);
        cli.note(`${name} (${masked}) will be refused everywhere, for ever.`);
        if (own) cli.note('It is the key that you are signed in with.');
        await cli.ask.confirmByTyping('the key’s name', name);
      }
      const request = { keyId: id, etag: yes ? '' : etag, requestId: '' };
      const answer = await api.apiKeys.deleteApiKey(request);
      cli.answer(DeleteApiKeyResponse, answer, [
        `Deleted ${name}.`,
        ...propagationBlocks(answer.propagation),
      ]);
    });
}
