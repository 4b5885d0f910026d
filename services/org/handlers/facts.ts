import type { Fills } from '@silo/access/access.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import type {
  GetMembershipFactRequest,
  GetMembershipFactResponse,
  GetOrganizationFactRequest,
  GetOrganizationFactResponse,
} from '@silo/protos/gen/silo/org/internal/v1/fact_service.ts';
import type { Handler } from '@silo/rpc/call.ts';
import type { Stores } from '../store/set-up.ts';

/** The facts that org owns. */
export type OrgFills = Pick<Fills, 'organization' | 'membership'>;

/** Reads the facts where they lie, each by one linearizable read of one document. */
export function createOrgFills({
  organizations,
  members,
}: Pick<Stores, 'organizations' | 'members'>): OrgFills {
  return {
    organization: async (organizationId, signal) => {
      const found = await organizations.readFact(organizationId, signal);
      return found && { membersMayCreateProjects: found.membersMayCreateProjects };
    },
    membership: (accountId, organizationId, signal) =>
      members.readFact(accountId, organizationId, signal),
  };
}

/** Answers what decides access through an organization. */
export function createGetOrganizationFact(
  fills: OrgFills,
): Handler<GetOrganizationFactRequest, GetOrganizationFactResponse> {
  return async ({ organizationId }, { signal }) => ({
    organization: await fills.organization(organizationId, signal),
  });
}

/** Answers an account's level in an organization. */
export function createGetMembershipFact(
  fills: OrgFills,
): Handler<GetMembershipFactRequest, GetMembershipFactResponse> {
  return async ({ accountId, organizationId }, { signal }) => ({
    level: (await fills.membership(accountId, organizationId, signal)) ?? Level.LEVEL_UNSPECIFIED,
  });
}
