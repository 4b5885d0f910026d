import type { Outcome } from '@silo/mongo/mutation.ts';
import {
  type DeleteApiKeyRequest,
  DeleteApiKeyResponse,
} from '@silo/protos/gen/silo/token/v1/api_key_service.ts';
import type { Call } from '@silo/rpc/call.ts';
import { checkEtag } from '@silo/tokens/etag.ts';
import { deleteKey } from '../rules/key-changes.ts';
import type { Dependencies } from './dependencies.ts';
import { changeKey } from './shared/change-key.ts';

/** DeleteApiKey: ends a key permanently. */
export async function deleteApiKey(
  { keyId, etag }: DeleteApiKeyRequest,
  call: Call,
  dependencies: Dependencies,
): Promise<Outcome<DeleteApiKeyResponse>> {
  return changeKey(dependencies, call, keyId, {
    codec: DeleteApiKeyResponse,
    decide: ({ key, occasion }) => {
      checkEtag(etag, key.revision);
      return deleteKey(key, occasion);
    },
    respond: () => ({}),
  });
}
