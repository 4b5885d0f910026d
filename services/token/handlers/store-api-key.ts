import type {
  StoreApiKeyRequest,
  StoreApiKeyResponse,
} from '@silo/protos/gen/silo/token/internal/v1/secret_service.ts';
import type { Handler } from '@silo/rpc/call.ts';
import { fingerprintOf } from '@silo/tokens/secrets.ts';
import { newKey } from '../rules/key-changes.ts';
import type { Dependencies } from './dependencies.ts';
import { stepOf } from './step.ts';

/** StoreApiKey: a key whose secret the caller made; nothing where it is stored already. */
export const createStoreApiKey =
  ({ eventLog, keys }: Dependencies): Handler<StoreApiKeyRequest, StoreApiKeyResponse> =>
  async (request, call) => {
    const { keyId: id, accountId, name, masked, scopes } = request;
    const hash = Buffer.from(request.keyHash);
    const secret = { hash, masked, fingerprint: fingerprintOf(hash) };
    // The account acts: it is being created with this key.
    const mutation = stepOf(call, { correlationId: request.correlationId, actor: accountId });
    await eventLog.decide(mutation, async ({ session, now, emit }) => {
      await keys.lockAccount(session, accountId);
      if ((await keys.findIn(session, accountId, id)) !== undefined) return;
      const settings = { name, scopes, organizationIds: [], projectIds: [], expireTime: undefined };
      const init = { ...settings, id, accountId, secret };
      const { key, event } = newKey(init, { actor: mutation.actor, now });
      await keys.insert(session, key);
      emit(event);
    });
    return {};
  };
