import type { Outcome } from '@silo/mongo/mutation.ts';
import {
  type DisableApiKeyRequest,
  DisableApiKeyResponse,
} from '@silo/protos/gen/silo/token/v1/api_key_service.ts';
import type { Call } from '@silo/rpc/call.ts';
import { checkEtag } from '@silo/tokens/etag.ts';
import { toApiKey } from '../messages.ts';
import { setDisabled } from '../rules/key-changes.ts';
import type { Dependencies } from './dependencies.ts';
import { changeKey } from './shared/change-key.ts';

/** DisableApiKey: makes a key invalid until it is enabled again. */
export async function disableApiKey(
  { keyId, etag }: DisableApiKeyRequest,
  call: Call,
  dependencies: Dependencies,
): Promise<Outcome<DisableApiKeyResponse>> {
  return changeKey(dependencies, call, keyId, {
    codec: DisableApiKeyResponse,
    decide: ({ key, occasion }) => {
      checkEtag(etag, key.revision);
      return setDisabled(key, true, occasion);
    },
    respond: (key, now) => ({ apiKey: toApiKey(key, now) }),
  });
}
