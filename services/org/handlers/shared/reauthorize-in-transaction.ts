import { errors } from '@silo/errors/errors.ts';
import type { Transaction } from '@silo/log/event-log.ts';
import type { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { checkStillAllowed } from '../../rules/levels.ts';
import type { MembershipDocument, OrganizationDocument } from '../../store/documents.ts';
import type { Stores } from '../../store/set-up.ts';

/**
 * The documents on which a change of an organization is decided, as its own transaction reads them.
 */
export type Reauthorized = {
  organization: OrganizationDocument;
  /** The caller's membership. */
  membership: MembershipDocument;
};

/**
 * Reads the organization and the caller's membership in the deciding transaction, and authorizes
 * the call again: nothing is decided for a caller that has been removed or demoted since the first
 * check. A change of members or invites must save the organization, so that it conflicts with every
 * other such change.
 */
export async function reauthorizeInTransaction(
  stores: Stores,
  tx: Transaction,
  required: { organizationId: string; accountId: string; least: Level },
): Promise<Reauthorized> {
  const { organizationId, accountId, least } = required;
  const organization = await stores.organizations.findIn(tx, organizationId);
  if (organization === undefined) throw errors.organizationNotFound(organizationId);
  const membership = await stores.members.findIn(tx, organizationId, accountId);
  checkStillAllowed(membership?.level, least, organizationId);
  if (membership === undefined) throw errors.organizationNotFound(organizationId);
  return { organization, membership };
}
