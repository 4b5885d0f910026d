import { decodePageToken, encodePageToken, pageSizeOf } from '@silo/mongo/page-token.ts';
import type {
  ListInvitesRequest,
  ListInvitesResponse,
} from '@silo/protos/gen/silo/org/v1/organization_service.ts';
import type { Handler } from '@silo/rpc/call.ts';
import { inviteMessage } from '../messages.ts';
import { textKey } from '../rules/page-keys.ts';
import type { Dependencies } from './dependencies.ts';

/** Lists an organization's open invites, oldest first. */
export function createListInvites({
  stores,
  clock,
}: Pick<Dependencies, 'stores' | 'clock'>): Handler<ListInvitesRequest, ListInvitesResponse> {
  return async ({ organizationId, pageSize, pageToken }, call) => {
    const query = ['invites', organizationId];
    const after = textKey(decodePageToken(query, pageToken));
    const limit = pageSizeOf(pageSize);
    const page = { now: clock.now(), after, limit: limit + 1 };
    const found = await stores.invites.listOpen(organizationId, page, call.signal);
    const invites = found.slice(0, limit).map(inviteMessage);
    const last = found.length > limit ? invites.at(-1) : undefined;
    return { invites, nextPageToken: last ? encodePageToken(query, [last.id]) : '' };
  };
}
