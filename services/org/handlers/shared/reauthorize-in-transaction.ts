import { errors } from '@silo/errors/errors.ts';
import type { Transaction } from '@silo/log/event-log.ts';
import type { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { checkStillAllowed } from '../../rules/levels.ts';
import type { MembershipDocument, OrganizationDocument } from '../../store/documents.ts';
import type { Stores } from '../../store/set-up.ts';

/** What a change of an organization is decided on, as its own transaction sees it. */
export type Reauthorized = {
  organization: OrganizationDocument;
  /** The caller's membership. */
  membership: MembershipDocument;
};

/**
 * Reads organization and caller in the deciding transaction, and authorizes again what was
 * authorized before it: nothing is decided for a caller that has meanwhile been removed or demoted.
 * A change of members or invites must save the organization, so that it conflicts with every other
 * one.
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
