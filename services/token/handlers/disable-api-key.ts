import {
  type DisableApiKeyRequest,
  DisableApiKeyResponse,
} from '@silo/protos/gen/silo/token/v1/api_key_service.ts';
import type { Handler } from '@silo/rpc/call.ts';
import { checkEtag } from '@silo/tokens/etag.ts';
import { toApiKey } from '../messages.ts';
import { setDisabled } from '../rules/key-changes.ts';
import { changeKey } from './change-key.ts';
import type { Dependencies } from './dependencies.ts';

/** DisableApiKey: refused from now on, until it is enabled again. */
export const createDisableApiKey =
  (dependencies: Dependencies): Handler<DisableApiKeyRequest, DisableApiKeyResponse> =>
  ({ keyId, etag }, call) =>
    changeKey(dependencies, call, keyId, {
      codec: DisableApiKeyResponse,
      decide: ({ key, occasion }) => {
        checkEtag(etag, key.revision);
        return setDisabled(key, true, occasion);
      },
      respond: (key, now) => ({ apiKey: toApiKey(key, now) }),
    });
