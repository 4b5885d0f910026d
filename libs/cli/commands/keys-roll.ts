import { Command, Option } from '@commander-js/extra-typings';
import { Duration } from '@silo/protos/gen/google/protobuf/duration.ts';
import { RollApiKeyResponse } from '@silo/protos/gen/silo/token/v1/api_key_service.ts';
import { fingerprintOf } from '@silo/tokens/secrets.ts';
import type { Cli } from '../cli.ts';
import { present } from '../find.ts';
import { secretBlocks } from '../render/keys.ts';
import { propagationBlocks } from '../render/propagation.ts';
import { parseDurationSeconds } from './key-options.ts';

export function keysRoll(cli: Cli) {
  return new Command('roll')
    .description('Give a key a new secret, and show it this once. The id stays.')
    .argument('<key>', 'name or id')
    .addOption(
      new Option('--overlap <time>', 'how long the old secret still works, such as 1h; at most 7d')
        .argParser(parseDurationSeconds)
        .default(0, 'not at all'),
    )
    .action(async (given, { overlap }) => {
      const { api, find, name, profile } = await cli.signedIn();
      const { id, etag, fingerprint } = await find.key(given);
      const answer = await api.apiKeys.rollApiKey({
        keyId: id,
        overlap: Duration.fromPartial({ seconds: overlap }),
        etag,
        requestId: '',
      });
      const blocks = [...secretBlocks(present(answer.apiKey), answer.secret)];
      // Who rolls the key that he is signed in with stays signed in.
      if (fingerprint === fingerprintOf(profile.apiKey)) {
        await cli.profiles.write(name, { ...profile, apiKey: answer.secret });
        blocks.push(`Profile ${name} uses it from now on.`);
      }
      cli.answer(RollApiKeyResponse, answer, [...blocks, ...propagationBlocks(answer.propagation)]);
    });
}
