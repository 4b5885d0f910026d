import { decodePageToken, nextPageToken, pageSizeOf, textPart } from '@silo/mongo/page-token.ts';
import type {
  ListInvitesRequest,
  ListInvitesResponse,
} from '@silo/protos/gen/silo/org/v1/organization_service.ts';
import type { Call } from '@silo/rpc/call.ts';
import { inviteMessage } from '../messages.ts';
import type { Dependencies } from './dependencies.ts';

/** Lists an organization's open invites, oldest first. */
export async function listInvites(
  { organizationId, pageSize, pageToken }: ListInvitesRequest,
  call: Call,
  { stores, clock }: Pick<Dependencies, 'stores' | 'clock'>,
): Promise<ListInvitesResponse> {
  const query = ['invites', organizationId];
  const [after] = decodePageToken(query, pageToken, [textPart]) ?? [];
  const wanted = { now: clock.now(), after, size: pageSizeOf(pageSize) };
  const page = await stores.invites.listOpen(organizationId, wanted, call.signal);
  return {
    invites: page.items.map(inviteMessage),
    nextPageToken: nextPageToken(query, page, ({ _id }) => [_id]),
  };
}
