import { errors } from '@silo/errors/errors.ts';
import { decodePageToken, nextPageToken } from '@silo/mongo/page-token.ts';
import type {
  GetAccountMembershipsRequest,
  GetAccountMembershipsResponse,
} from '@silo/protos/gen/silo/org/internal/v1/directory_service.ts';
import type { Handler } from '@silo/rpc/call.ts';
import { textKey } from '../rules/page-keys.ts';
import type { Dependencies } from './dependencies.ts';

const pageSize = 1_000;

/** Answers a page of an account's memberships, with what their organizations say. */
export function createGetAccountMemberships({
  stores,
}: Pick<Dependencies, 'stores'>): Handler<
  GetAccountMembershipsRequest,
  GetAccountMembershipsResponse
> {
  return async ({ accountId, pageToken }, { signal }) => {
    const query = ['GetAccountMemberships', accountId];
    const after = textKey(decodePageToken(query, pageToken));
    const account = await stores.accounts.find(accountId, signal);
    if (account === undefined) throw errors.accountNotFound(accountId);
    const page = await stores.members.listOfAccount(accountId, { after, size: pageSize }, signal);
    const ids = page.items.map(({ organizationId }) => organizationId);
    const organizations = await stores.organizations.findMany(ids, signal);
    const memberships = page.items.flatMap(({ organizationId, level }) => {
      const organization = organizations.get(organizationId);
      if (organization === undefined) return [];
      const { name: organizationName, membersMayCreateProjects } = organization;
      return [{ organizationId, organizationName, level, membersMayCreateProjects }];
    });
    return {
      currentProjectId: account.currentProjectId,
      memberships,
      nextPageToken: nextPageToken(query, page, ({ organizationId }) => [organizationId]),
    };
  };
}
