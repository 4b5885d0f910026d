import type { Outcome } from '@silo/mongo/mutation.ts';
import {
  type EnableApiKeyRequest,
  EnableApiKeyResponse,
} from '@silo/protos/gen/silo/token/v1/api_key_service.ts';
import type { Call } from '@silo/rpc/call.ts';
import { checkEtag } from '@silo/tokens/etag.ts';
import { toApiKey } from '../messages.ts';
import { setDisabled } from '../rules/key-changes.ts';
import { checkNotExpired, reachOf } from '../rules/key-scope.ts';
import type { Dependencies } from './dependencies.ts';
import { changeKey } from './shared/change-key.ts';

/** EnableApiKey: makes a disabled key valid again if it does not reach beyond the calling key. */
export async function enableApiKey(
  { keyId, etag }: EnableApiKeyRequest,
  call: Call,
  dependencies: Dependencies,
): Promise<Outcome<EnableApiKeyResponse>> {
  return changeKey(dependencies, call, keyId, {
    codec: EnableApiKeyResponse,
    decide: ({ key, occasion }) => {
      checkEtag(etag, key.revision);
      checkNotExpired(key, occasion.now);
      return setDisabled(key, false, occasion);
    },
    within: ({ key }) => reachOf(key),
    respond: (key, now) => ({ apiKey: toApiKey(key, now) }),
  });
}
