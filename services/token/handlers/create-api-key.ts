import { errors } from '@silo/errors/errors.ts';
import { isRestricted } from '@silo/guard/reach.ts';
import {
  type ApiKey,
  type CreateApiKeyRequest,
  CreateApiKeyResponse,
} from '@silo/protos/gen/silo/token/v1/api_key_service.ts';
import { type Handler, keyCaller } from '@silo/rpc/call.ts';
import { newId } from '@silo/tokens/ids.ts';
import { newKey } from '../rules/key-changes.ts';
import { checkKeyCount, checkStillCaller, checkWithinCaller, reachOf } from '../rules/key-scope.ts';
import { settingsOf } from '../rules/key-settings.ts';
import type { Dependencies } from './dependencies.ts';
import { freshKeySecret } from './fresh-secrets.ts';
import { toApiKey } from './messages.ts';

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
    const { response } = await eventLog.mutate(
      call,
      CreateApiKeyResponse,
      async ({ session, now, emit }) => {
        await keys.lockAccount(session, accountId);
        const fact = await keys.findFactIn(session, accountId, keyHash);
        const caller = checkStillCaller(fact, now);
        if (isRestricted(caller)) throw errors.keyRestricted();
        checkWithinCaller(settings, caller);
        const init = { ...settings, id, accountId, secret: stored };
        const { key, event } = newKey(init, { actor: call.actor, now });
        checkKeyCount(await keys.insert(session, key));
        emit(event);
        const alsoDemands = [{ within: reachOf(settings) }];
        return { response: { apiKey: toApiKey(key, now), secret }, sealed: true, alsoDemands };
      },
    );
    return response;
  };

function given(apiKey: ApiKey | undefined): ApiKey {
  if (apiKey !== undefined) return apiKey;
  throw errors.invalidField([{ field: 'api_key', description: 'is required' }]);
}
