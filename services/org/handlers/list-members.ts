import { decodePageToken, encodePageToken, pageSizeOf } from '@silo/mongo/page-token.ts';
import type {
  ListMembersRequest,
  ListMembersResponse,
} from '@silo/protos/gen/silo/org/v1/organization_service.ts';
import type { Handler } from '@silo/rpc/call.ts';
import { memberMessage } from '../messages.ts';
import { timeAndTextKey } from '../rules/page-keys.ts';
import type { Dependencies } from './dependencies.ts';

/** Lists an organization's members, in the order in which they joined. */
export function createListMembers({
  stores,
}: Pick<Dependencies, 'stores'>): Handler<ListMembersRequest, ListMembersResponse> {
  return async ({ organizationId, pageSize, pageToken }, call) => {
    const query = ['members', organizationId];
    const key = timeAndTextKey(decodePageToken(query, pageToken));
    const limit = pageSizeOf(pageSize);
    const after = key && { joinTime: key.time, accountId: key.text };
    const page = { after, limit: limit + 1 };
    const found = await stores.members.listOfOrganization(organizationId, page, call.signal);
    const told = found.slice(0, limit);
    const ids = told.map(({ accountId }) => accountId);
    const accounts = await stores.accounts.findMany(ids, call.signal);
    const members = told.map((member) => memberMessage(member, accounts.get(member.accountId)));
    const last = found.length > limit ? told.at(-1) : undefined;
    const nextPageToken = last ? encodePageToken(query, [last.joinTime, last.accountId]) : '';
    return { members, nextPageToken };
  };
}
