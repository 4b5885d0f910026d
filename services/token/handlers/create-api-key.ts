import { isRestricted } from '@silo/access/reach.ts';
import { errors } from '@silo/errors/errors.ts';
import {
  type ApiKey,
  type CreateApiKeyRequest,
  CreateApiKeyResponse,
} from '@silo/protos/gen/silo/token/v1/api_key_service.ts';
import { type Handler, keyCaller } from '@silo/rpc/call.ts';
import { newId } from '@silo/tokens/ids.ts';
import { toApiKey } from '../messages.ts';
import { checkStillCaller, checkWithinCaller, reachOf } from '../rules/key-scope.ts';
import { checkExpiresLater, settingsOf } from '../rules/key-settings.ts';
import { addKey } from './add-key.ts';
import type { Dependencies } from './dependencies.ts';
import { freshKeySecret } from './fresh-secrets.ts';

/** CreateApiKey: a new key within the calling one. */
export const createCreateApiKey =
  ({ eventLog, keys }: Dependencies): Handler<CreateApiKeyRequest, CreateApiKeyResponse> =>
  async (request, call) => {
    const settings = settingsOf(given(request.apiKey));
    const {
      keyHash,
      key: { accountId },
    } = keyCaller(call);
    const { secret, stored } = freshKeySecret();
    const id = newId('key');
    const { response } = await eventLog.mutate(call, CreateApiKeyResponse, async (tx) => {
      const { session, now } = tx;
      await keys.lockAccount(session, accountId);
      const fact = await keys.findFactIn(session, accountId, keyHash);
      const caller = checkStillCaller(fact, now);
      if (isRestricted(caller)) throw errors.keyRestricted();
      checkWithinCaller(settings, caller);
      checkExpiresLater(settings.expireTime, now);
      const init = { ...settings, id, accountId, secret: stored };
      const key = await addKey(keys, tx, init, call.actor);
      const alsoDemands = [{ within: reachOf(settings) }];
      return { response: { apiKey: toApiKey(key, now), secret }, sealed: true, alsoDemands };
    });
    return response;
  };

function given(apiKey: ApiKey | undefined): ApiKey {
  if (apiKey !== undefined) return apiKey;
  throw errors.invalidField([{ field: 'api_key', description: 'is required' }]);
}
