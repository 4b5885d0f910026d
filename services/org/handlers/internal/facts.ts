import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import type {
  GetMembershipFactRequest,
  GetMembershipFactResponse,
  GetOrganizationFactRequest,
  GetOrganizationFactResponse,
} from '@silo/protos/gen/silo/org/internal/v1/fact_service.ts';
import type { Call } from '@silo/rpc/call.ts';
import type { Dependencies } from '../dependencies.ts';

/** Returns the fact of an organization, on which access through it depends. */
export async function getOrganizationFact(
  { organizationId }: GetOrganizationFactRequest,
  { signal }: Call,
  { factReader }: Pick<Dependencies, 'factReader'>,
): Promise<GetOrganizationFactResponse> {
  return {
    organization: await factReader.organization(organizationId, signal),
  };
}

/** Returns an account's level in an organization. */
export async function getMembershipFact(
  { accountId, organizationId }: GetMembershipFactRequest,
  { signal }: Call,
  { factReader }: Pick<Dependencies, 'factReader'>,
): Promise<GetMembershipFactResponse> {
  return {
    level:
      (await factReader.membership(accountId, organizationId, signal)) ?? Level.LEVEL_UNSPECIFIED,
  };
}
