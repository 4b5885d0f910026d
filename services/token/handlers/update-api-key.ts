import { errors } from '@silo/errors/errors.ts';
import type { Outcome } from '@silo/mongo/mutation.ts';
import {
  type UpdateApiKeyRequest,
  UpdateApiKeyResponse,
} from '@silo/protos/gen/silo/token/v1/api_key_service.ts';
import type { Call } from '@silo/rpc/call.ts';
import { checkEtag } from '@silo/tokens/etag.ts';
import { toApiKey } from '../messages.ts';
import { keepsAccess, updateKey } from '../rules/key-changes.ts';
import { widenedTo } from '../rules/key-scope.ts';
import { applyUpdate, checkExpiresLater, expiryOf, namedFields } from '../rules/key-settings.ts';
import type { Dependencies } from './dependencies.ts';
import { changeKey } from './shared/change-key.ts';

/**
 * UpdateApiKey: changes a key. Narrowing is always allowed; a widened key must lie within the
 * calling key.
 */
export async function updateApiKey(
  { apiKey, updateMask }: UpdateApiKeyRequest,
  call: Call,
  dependencies: Dependencies,
): Promise<Outcome<UpdateApiKeyResponse>> {
  if (apiKey === undefined) {
    throw errors.invalidField([{ field: 'api_key', description: 'is missing' }]);
  }
  const named = namedFields(apiKey, updateMask);
  return changeKey(dependencies, call, apiKey.id, {
    codec: UpdateApiKeyResponse,
    decide: ({ key, occasion }) => {
      const settings = applyUpdate(key, apiKey, named);
      checkEtag(apiKey.etag, key.revision);
      // A request may repeat the present expiry with other changes, even after it has passed.
      if (expiryOf(settings) !== expiryOf(key)) {
        checkExpiresLater(settings.expireTime, occasion.now);
      }
      return updateKey(key, settings, occasion);
    },
    within: ({ key }) => widenedTo(key, applyUpdate(key, apiKey, named)),
    keepsAccess: ({ key }) => keepsAccess(key, applyUpdate(key, apiKey, named), named),
    respond: (key, now) => ({ apiKey: toApiKey(key, now) }),
  });
}
