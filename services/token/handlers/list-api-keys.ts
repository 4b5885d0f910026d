import { isRestricted } from '@silo/guard/reach.ts';
import { decodePageToken, encodePageToken, pageSizeOf } from '@silo/mongo/page-token.ts';
import type {
  ListApiKeysRequest,
  ListApiKeysResponse,
} from '@silo/protos/gen/silo/token/v1/api_key_service.ts';
import { type Handler, keyCaller } from '@silo/rpc/call.ts';
import type { Dependencies } from './dependencies.ts';
import { toApiKey } from './messages.ts';

/** ListApiKeys: the account's keys, oldest first; a restricted key lists itself. */
export const createListApiKeys =
  ({ keys, clock }: Dependencies): Handler<ListApiKeysRequest, ListApiKeysResponse> =>
  async (request, call) => {
    const { key: caller } = keyCaller(call);
    const { accountId } = caller;
    const only = isRestricted(caller) ? caller.keyId : undefined;
    const query = ['ListApiKeys', accountId, only ?? ''];
    const [last] = decodePageToken(query, request.pageToken) ?? [];
    const after = typeof last === 'string' ? last : undefined;
    const size = pageSizeOf(request.pageSize);
    const page = { after, only, limit: size + 1 };
    const found = await keys.listOfAccount(accountId, page, call.signal);
    const told = found.slice(0, size);
    const end = told.at(-1);
    const hasMore = found.length > size && end !== undefined;
    return {
      apiKeys: told.map((key) => toApiKey(key, clock.now())),
      nextPageToken: hasMore ? encodePageToken(query, [end._id]) : '',
    };
  };
