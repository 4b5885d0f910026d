import { isRestricted } from '@silo/access/reach.ts';
import { decodePageToken, nextPageToken, pageSizeOf, textPart } from '@silo/mongo/page-token.ts';
import type {
  ListOrganizationsRequest,
  ListOrganizationsResponse,
} from '@silo/protos/gen/silo/org/v1/organization_service.ts';
import { type Call, keyCaller } from '@silo/rpc/call.ts';
import { organizationMessage } from '../messages.ts';
import type { Dependencies } from './dependencies.ts';

/**
 * Lists the organizations of which the caller is a member and that its key reaches, oldest first.
 */
export async function listOrganizations(
  { pageSize, pageToken }: ListOrganizationsRequest,
  call: Call,
  { stores }: Pick<Dependencies, 'stores'>,
): Promise<ListOrganizationsResponse> {
  const { key } = keyCaller(call);
  const query = ['organizations', key.accountId];
  const [after] = decodePageToken(query, pageToken, [textPart]) ?? [];
  // The check of `reachesOrganization` for all organizations at once.
  const among = isRestricted(key) ? key.organizationIds : undefined;
  const wanted = { among, after, size: pageSizeOf(pageSize) };
  const page = await stores.members.listOfAccount(key.accountId, wanted, call.signal);
  const ids = page.items.map(({ organizationId }) => organizationId);
  const byId = await stores.organizations.findMany(ids, call.signal);
  const organizations = page.items.flatMap(({ organizationId, level }) => {
    const organization = byId.get(organizationId);
    return organization === undefined ? [] : [organizationMessage(organization, level)];
  });
  return {
    organizations,
    nextPageToken: nextPageToken(query, page, ({ organizationId }) => [organizationId]),
  };
}
