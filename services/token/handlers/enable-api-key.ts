import {
  type EnableApiKeyRequest,
  EnableApiKeyResponse,
} from '@silo/protos/gen/silo/token/v1/api_key_service.ts';
import type { Handler } from '@silo/rpc/call.ts';
import { checkEtag } from '@silo/tokens/etag.ts';
import { toApiKey } from '../messages.ts';
import { setDisabled } from '../rules/key-changes.ts';
import { checkNotExpired, reachOf } from '../rules/key-scope.ts';
import { changeKey } from './change-key.ts';
import type { Dependencies } from './dependencies.ts';

/** EnableApiKey: useful again, if it lies within the calling key. */
export const createEnableApiKey =
  (dependencies: Dependencies): Handler<EnableApiKeyRequest, EnableApiKeyResponse> =>
  ({ keyId, etag }, call) =>
    changeKey(dependencies, call, keyId, {
      codec: EnableApiKeyResponse,
      decide: ({ key, occasion }) => {
        checkEtag(etag, key.revision);
        checkNotExpired(key, occasion.now);
        return setDisabled(key, false, occasion);
      },
      within: ({ key }) => reachOf(key),
      respond: (key, now) => ({ apiKey: toApiKey(key, now) }),
    });
