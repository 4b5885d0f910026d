import type { Transaction } from '@silo/log/event-log.ts';
import { memberRemoved } from '../../events.ts';
import { checkKeepsOwner, ownersAdded } from '../../rules/last-owner.ts';
import type { MembershipDocument, OrganizationDocument } from '../../store/documents.ts';
import type { Stores } from '../../store/set-up.ts';
import { endInvites } from './end-invites.ts';

/**
 * Ends a membership and the invites that depended on it, in the deciding transaction. Refuses with
 * LAST_OWNER.
 */
export async function endMembership(
  stores: Stores,
  tx: Transaction,
  ending: { organization: OrganizationDocument; member: MembershipDocument; actor: string },
): Promise<void> {
  const { organization, member, actor } = ending;
  const { organizationId, accountId, level } = member;
  checkKeepsOwner(organization.ownerCount, level, undefined);
  const revision = organization.memberRevision + 1;
  await stores.organizations.save(tx, {
    ...organization,
    ownerCount: organization.ownerCount + ownersAdded(level, undefined),
    memberCount: organization.memberCount - 1,
    memberRevision: revision,
  });
  await stores.members.remove(tx, organizationId, accountId);
  const left = actor === accountId;
  tx.emit(memberRemoved({ ...member, revision }, left, { actor, time: tx.now }));
  await endInvites(stores, tx, { member, level: undefined, actor });
}
