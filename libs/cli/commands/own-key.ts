import type { ApiKey } from '@silo/protos/gen/silo/token/v1/api_key_service.ts';
import { fingerprintOf } from '@silo/tokens/secrets.ts';
import type { Cli } from '../cli.ts';
import { named } from '../names.ts';

/** Whether a key is the one that the user is signed in with. */
export async function isOwn(cli: Cli, { fingerprint }: ApiKey): Promise<boolean> {
  const { profile } = await cli.signedIn();
  return fingerprint === fingerprintOf(profile.apiKey);
}

/** Prompts for confirmation of a change to a key, and says if it is the user's own. */
export async function agree(cli: Cli, key: ApiKey, what: string): Promise<void> {
  cli.note([named(key), ` (${key.masked}) ${what}`]);
  if (await isOwn(cli, key)) cli.note('It is the key that you are signed in with.');
  await cli.prompt.confirmByTyping('the key’s name', key.name);
}
