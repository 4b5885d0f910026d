import { errors } from '@silo/errors/errors.ts';
import type {
  GetAccountMembershipsRequest,
  GetAccountMembershipsResponse,
} from '@silo/protos/gen/silo/org/internal/v1/directory_service.ts';
import type { Handler } from '@silo/rpc/call.ts';
import type { Dependencies } from './dependencies.ts';

/** Answers an account's memberships, with what their organizations say. */
export function createGetAccountMemberships({
  stores,
}: Pick<Dependencies, 'stores'>): Handler<
  GetAccountMembershipsRequest,
  GetAccountMembershipsResponse
> {
  return async ({ accountId }, { signal }) => {
    const account = await stores.accounts.find(accountId, signal);
    if (account === undefined) throw errors.accountNotFound(accountId);
    const found = await stores.members.listOfAccount(accountId, {}, signal);
    const ids = found.map(({ organizationId }) => organizationId);
    const organizations = await stores.organizations.findMany(ids, signal);
    const memberships = found.flatMap(({ organizationId, level }) => {
      const organization = organizations.get(organizationId);
      if (organization === undefined) return [];
      const { name: organizationName, membersMayCreateProjects } = organization;
      return [{ organizationId, organizationName, level, membersMayCreateProjects }];
    });
    return { currentProjectId: account.currentProjectId, memberships };
  };
}
