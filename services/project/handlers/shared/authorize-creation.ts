import type { Access, AccessFacts } from '@silo/access/access.ts';
import { errors } from '@silo/errors/errors.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import type { Call } from '@silo/rpc/call.ts';
import { demand } from '@silo/rpc/check-access.ts';

/**
 * Demands that the caller may create projects in an organization. A single check, so
 * that cached facts do not refuse access that was just granted. Returns the organization's facts.
 */
export async function authorizeCreation(
  access: Access,
  call: Call,
  organizationId: string,
): Promise<NonNullable<AccessFacts['organization']>> {
  const needs = { scope: 'project:write', level: Level.LEVEL_MEMBER, createsProjects: true };
  const { organization } = await demand(access, call, { ...needs, organizationId });
  if (organization === undefined) throw errors.organizationNotFound(organizationId);
  return organization;
}
