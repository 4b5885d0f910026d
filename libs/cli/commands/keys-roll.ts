import { randomUUID } from 'node:crypto';
import { Command, Option } from '@commander-js/extra-typings';
import { Duration } from '@silo/protos/gen/google/protobuf/duration.ts';
import { type ApiKey, RollApiKeyResponse } from '@silo/protos/gen/silo/token/v1/api_key_service.ts';
import type { Cli } from '../cli.ts';
import { exitOfRefusal } from '../exit-codes.ts';
import { CallFailure } from '../failure.ts';
import { present } from '../find.ts';
import { named } from '../names.ts';
import type { Rolling } from '../profiles.ts';
import { secretBlocks } from '../render/keys.ts';
import { propagationBlocks } from '../render/propagation.ts';
import { parseDurationSeconds } from './key-options.ts';
import { isOwn } from './own-key.ts';

export function keysRoll(cli: Cli) {
  return new Command('roll')
    .description('Give a key a new secret, and show it once. The id stays the same.')
    .argument('[key]', 'name or id; prompted for if not given')
    .addOption(
      new Option('--overlap <time>', 'how long the old secret still works, such as 1h; at most 7d')
        .argParser(parseDurationSeconds)
        .default(0, 'not at all'),
    )
    .option('--yes', 'do not prompt for the key’s name')
    .action(async (given, { overlap, yes = false }) => {
      const { api, name, profile } = await cli.signedIn();
      const { rolling: _, ...settled } = profile;
      const { rolling, isOwnKey } = await beginRoll(cli, given, { overlapSeconds: overlap, yes });
      const { keyId, etag, requestId, overlapSeconds } = rolling;
      const request = {
        keyId,
        overlap: Duration.fromPartial({ seconds: overlapSeconds }),
        etag,
        requestId,
      };
      const answer = await api.apiKeys.rollApiKey(request).catch(async (error: unknown) => {
        if (isOwnKey && isRefusal(error)) await cli.profiles.write(name, settled);
        throw error;
      });
      cli.answer(RollApiKeyResponse, answer, [
        ...secretBlocks(present(answer.apiKey), answer.secret),
        ...propagationBlocks(answer.propagation),
      ]);
      if (isOwnKey) {
        await cli.profiles.write(name, { ...settled, apiKey: answer.secret });
        cli.note(`Profile ${name} uses it from now on.`);
      }
    });
}

/**
 * If the response to a roll of the current profile's key were lost, the user would be locked out.
 * So the request is stored in the profile until the answer is: the old key may still repeat this
 * request.
 */
async function beginRoll(
  cli: Cli,
  given: string | undefined,
  { overlapSeconds, yes }: { overlapSeconds: number; yes: boolean },
): Promise<{ rolling: Rolling; isOwnKey: boolean }> {
  const { find, name, profile } = await cli.signedIn();
  const interrupted = profile.rolling;
  if (interrupted && [interrupted.keyId, interrupted.name, undefined].includes(given)) {
    return { rolling: interrupted, isOwnKey: true };
  }
  const key = await find.key(given);
  const { id: keyId, name: keyName, etag } = key;
  if (!yes && overlapSeconds === 0) await agree(cli, key);
  const rolling = { keyId, name: keyName, etag, overlapSeconds, requestId: randomUUID() };
  const isOwnKey = await isOwn(cli, key);
  if (isOwnKey) await cli.profiles.write(name, { ...profile, rolling });
  return { rolling, isOwnKey };
}

/** Prompts for confirmation that the old secret ends. */
async function agree(cli: Cli, key: ApiKey): Promise<void> {
  cli.note([
    'The present secret of ',
    named(key),
    ` (${key.masked}) is refused from now on: whatever uses it stops working.`,
  ]);
  cli.note('With --overlap 1h it works for another hour.');
  await cli.prompt.confirmByTyping('the key’s name', key.name);
}

/** Whether it is certain that nothing was rolled and nothing will be. */
function isRefusal(error: unknown): boolean {
  if (!(error instanceof CallFailure) || error.refusal === undefined) return false;
  return !['unavailable', 'bug'].includes(exitOfRefusal(error.refusal));
}
