import {
  type DeleteApiKeyRequest,
  DeleteApiKeyResponse,
} from '@silo/protos/gen/silo/token/v1/api_key_service.ts';
import type { Handler } from '@silo/rpc/call.ts';
import { checkEtag } from '@silo/tokens/etag.ts';
import { deleteKey } from '../rules/key-changes.ts';
import { changeKey } from './change-key.ts';
import type { Dependencies } from './dependencies.ts';

/** DeleteApiKey: ends a key for ever. */
export const createDeleteApiKey =
  (dependencies: Dependencies): Handler<DeleteApiKeyRequest, DeleteApiKeyResponse> =>
  ({ keyId, etag }, call) =>
    changeKey(dependencies, call, keyId, {
      codec: DeleteApiKeyResponse,
      decide: ({ key, occasion }) => {
        checkEtag(etag, key.revision);
        return deleteKey(key, occasion);
      },
      respond: () => ({}),
    });
