import { isRestricted } from '@silo/access/reach.ts';
import { decodePageToken, nextPageToken, pageSizeOf, textPart } from '@silo/mongo/page-token.ts';
import type {
  ListApiKeysRequest,
  ListApiKeysResponse,
} from '@silo/protos/gen/silo/token/v1/api_key_service.ts';
import { type Call, keyCaller } from '@silo/rpc/call.ts';
import { toApiKey } from '../messages.ts';
import type { Dependencies } from './dependencies.ts';

/** ListApiKeys: lists the account's keys, oldest first. A restricted key lists only itself. */
export async function listApiKeys(
  request: ListApiKeysRequest,
  call: Call,
  { keys, clock }: Dependencies,
): Promise<ListApiKeysResponse> {
  const { key: caller } = keyCaller(call);
  const { accountId } = caller;
  const only = isRestricted(caller) ? caller.keyId : undefined;
  const query = ['ListApiKeys', accountId, only ?? ''];
  const [after] = decodePageToken(query, request.pageToken, [textPart]) ?? [];
  const wanted = { after, only, size: pageSizeOf(request.pageSize) };
  const page = await keys.listOfAccount(accountId, wanted, call.signal);
  return {
    apiKeys: page.items.map((key) => toApiKey(key, clock.now())),
    nextPageToken: nextPageToken(query, page, ({ _id }) => [_id]),
  };
}
