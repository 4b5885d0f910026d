import type { Transaction } from '@silo/log/event-log.ts';
import type { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { inviteDeleted } from '../../events.ts';
import { grantableMax } from '../../rules/invites.ts';
import type { MembershipDocument } from '../../store/documents.ts';
import type { Stores } from '../../store/set-up.ts';

/**
 * Deletes the invites that depended on a membership before it ended (`level` undefined) or was
 * lowered to `level`: those that the account created and may no longer grant, and those for its
 * e-mail. Otherwise an old code would work again once the account regains the level or the e-mail.
 */
export async function endInvites(
  stores: Stores,
  tx: Transaction,
  ending: { member: MembershipDocument; level: Level | undefined; actor: string },
): Promise<void> {
  const { member, level, actor } = ending;
  const { organizationId, accountId } = member;
  const account = await stores.accounts.findIn(tx, accountId);
  if (account === undefined) throw new TypeError(`${accountId} is a member without an account`);
  const removed = await stores.invites.removeOfMember(tx, organizationId, {
    comparableEmail: account.comparableEmail,
    inviterAccountId: accountId,
    aboveLevel: grantableMax(level),
  });
  for (const { id } of removed) {
    tx.emit(inviteDeleted(organizationId, id, { actor, time: tx.now }));
  }
}
