import { isRestricted } from '@silo/access/reach.ts';
import { errors } from '@silo/errors/errors.ts';
import type { Outcome } from '@silo/mongo/mutation.ts';
import {
  type ApiKey,
  type CreateApiKeyRequest,
  CreateApiKeyResponse,
} from '@silo/protos/gen/silo/token/v1/api_key_service.ts';
import { type Call, keyCaller } from '@silo/rpc/call.ts';
import { newId } from '@silo/tokens/ids.ts';
import { toApiKey } from '../messages.ts';
import { checkStillCaller, checkWithinCaller, reachOf } from '../rules/key-scope.ts';
import { checkExpiresLater, settingsOf } from '../rules/key-settings.ts';
import type { Dependencies } from './dependencies.ts';
import { addKey } from './shared/add-key.ts';
import { freshKeySecret } from './shared/fresh-secrets.ts';

/** CreateApiKey: creates a key that must not reach beyond the calling one. */
export async function createApiKey(
  request: CreateApiKeyRequest,
  call: Call,
  { eventLog, keys }: Dependencies,
): Promise<Outcome<CreateApiKeyResponse>> {
  const settings = settingsOf(given(request.apiKey));
  const {
    keyHash,
    key: { accountId },
  } = keyCaller(call);
  const { secret, stored } = freshKeySecret();
  const id = newId('key');
  return await eventLog.mutate(call, CreateApiKeyResponse, async (tx) => {
    const { now } = tx;
    await keys.lockAccount(tx, accountId);
    const fact = await keys.findFactIn(tx, accountId, keyHash);
    const caller = checkStillCaller(fact, now);
    if (isRestricted(caller)) throw errors.keyRestricted();
    checkWithinCaller(settings, caller);
    checkExpiresLater(settings.expireTime, now);
    const init = { ...settings, id, accountId, secret: stored };
    const key = await addKey(keys, tx, init, call.actor);
    const alsoDemands = [{ within: reachOf(settings) }];
    return { response: { apiKey: toApiKey(key, now), secret }, sealed: true, alsoDemands };
  });
}

function given(apiKey: ApiKey | undefined): ApiKey {
  if (apiKey !== undefined) return apiKey;
  throw errors.invalidField([{ field: 'api_key', description: 'is missing' }]);
}
