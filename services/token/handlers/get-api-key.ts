import { errors } from '@silo/errors/errors.ts';
import type {
  GetApiKeyRequest,
  GetApiKeyResponse,
} from '@silo/protos/gen/silo/token/v1/api_key_service.ts';
import { type Call, keyCaller } from '@silo/rpc/call.ts';
import { toApiKey } from '../messages.ts';
import { isVisible } from '../rules/key-scope.ts';
import type { Dependencies } from './dependencies.ts';

/** GetApiKey: returns one of the account's keys. A restricted key sees only itself. */
export async function getApiKey(
  { keyId }: GetApiKeyRequest,
  call: Call,
  { keys, clock }: Dependencies,
): Promise<GetApiKeyResponse> {
  const { key: caller } = keyCaller(call);
  const key = await keys.find(caller.accountId, keyId, call.signal);
  if (key === undefined || !isVisible(caller, key)) throw errors.keyNotFound(keyId);
  return { apiKey: toApiKey(key, clock.now()) };
}
