import { errors } from '@silo/errors/errors.ts';
import type {
  GetOrganizationRequest,
  GetOrganizationResponse,
} from '@silo/protos/gen/silo/org/v1/organization_service.ts';
import { type Call, targetOrganization } from '@silo/rpc/call.ts';
import { organizationMessage } from '../messages.ts';
import type { Dependencies } from './dependencies.ts';

/** Returns one organization with the caller's own level. */
export async function getOrganization(
  { organizationId }: GetOrganizationRequest,
  call: Call,
  { stores }: Pick<Dependencies, 'stores'>,
): Promise<GetOrganizationResponse> {
  const organization = await stores.organizations.find(organizationId, call.signal);
  if (organization === undefined) throw errors.organizationNotFound(organizationId);
  return { organization: organizationMessage(organization, targetOrganization(call).level) };
}
