import { errors } from '@silo/errors/errors.ts';
import type { Transaction } from '@silo/log/event-log.ts';
import type { Outcome } from '@silo/mongo/mutation.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import {
  type InviteMemberRequest,
  InviteMemberResponse,
} from '@silo/protos/gen/silo/org/v1/organization_service.ts';
import { type Call, keyCaller } from '@silo/rpc/call.ts';
import { newId } from '@silo/tokens/ids.ts';
import { hashOf, newInviteCode } from '@silo/tokens/secrets.ts';
import { inviteCreated } from '../events.ts';
import { inviteMessage } from '../messages.ts';
import { comparable } from '../rules/email.ts';
import { checkInviteLimit, inviteLifetimeMs } from '../rules/invites.ts';
import { checkWithinOwn } from '../rules/levels.ts';
import type { Stores } from '../store/set-up.ts';
import type { Dependencies } from './dependencies.ts';
import { reauthorizeInTransaction } from './shared/reauthorize-in-transaction.ts';

/** Invites an e-mail. Returns the one-time code, which only the inviter sees. */
export async function inviteMember(
  { organizationId, email, level }: InviteMemberRequest,
  call: Call,
  { stores, eventLog }: Pick<Dependencies, 'stores' | 'eventLog'>,
): Promise<Outcome<InviteMemberResponse>> {
  const inviterAccountId = keyCaller(call).key.accountId;
  const required = { organizationId, accountId: inviterAccountId, least: Level.LEVEL_ADMIN };
  const alsoDemands = [{ organizationId, level }];
  const code = newInviteCode();
  return await eventLog.mutate(call, InviteMemberResponse, async (tx) => {
    const stamp = { actor: call.actor, time: tx.now };
    const { membership } = await reauthorizeInTransaction(stores, tx, required);
    checkWithinOwn(membership.level, level);
    await checkNoMember(stores, tx, organizationId, email);
    checkInviteLimit(await stores.invites.countOpen(tx, organizationId, tx.now));
    const invite = {
      _id: newId('inv', { now: tx.now }),
      organizationId,
      email,
      comparableEmail: comparable(email),
      level,
      inviterAccountId,
      codeHash: hashOf(code),
      createTime: tx.now,
      expireTime: new Date(tx.now.getTime() + inviteLifetimeMs),
    };
    await stores.organizations.noteInviteChange(tx, organizationId);
    await stores.invites.insert(tx, invite);
    tx.emit(inviteCreated(invite, stamp));
    return { response: { invite: inviteMessage(invite), code }, alsoDemands, sealed: true };
  });
}

async function checkNoMember(
  stores: Stores,
  tx: Transaction,
  organizationId: string,
  email: string,
): Promise<void> {
  const account = await stores.accounts.findByEmailIn(tx, comparable(email));
  if (account === undefined) return;
  const member = await stores.members.findIn(tx, organizationId, account._id);
  if (member !== undefined) throw errors.alreadyMember(account._id);
}
