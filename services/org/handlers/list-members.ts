import {
  decodePageToken,
  nextPageToken,
  pageSizeOf,
  textPart,
  timePart,
} from '@silo/mongo/page-token.ts';
import type {
  ListMembersRequest,
  ListMembersResponse,
} from '@silo/protos/gen/silo/org/v1/organization_service.ts';
import type { Call } from '@silo/rpc/call.ts';
import { memberMessage } from '../messages.ts';
import type { Dependencies } from './dependencies.ts';

/** Lists an organization's members, in the order in which they joined. */
export async function listMembers(
  { organizationId, pageSize, pageToken }: ListMembersRequest,
  call: Call,
  { stores }: Pick<Dependencies, 'stores'>,
): Promise<ListMembersResponse> {
  const query = ['members', organizationId];
  const key = decodePageToken(query, pageToken, [timePart, textPart]);
  const after = key && { joinTime: key[0], accountId: key[1] };
  const wanted = { after, size: pageSizeOf(pageSize) };
  const page = await stores.members.listOfOrganization(organizationId, wanted, call.signal);
  const ids = page.items.map(({ accountId }) => accountId);
  const accounts = await stores.accounts.findMany(ids, call.signal);
  return {
    members: page.items.map((member) => memberMessage(member, accounts.get(member.accountId))),
    nextPageToken: nextPageToken(query, page, ({ joinTime, accountId }) => [joinTime, accountId]),
  };
}
