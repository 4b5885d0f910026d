import { errors } from '@silo/errors/errors.ts';
import type { Transaction } from '@silo/log/event-log.ts';
import type { Outcome } from '@silo/mongo/mutation.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import {
  type AcceptInviteRequest,
  AcceptInviteResponse,
} from '@silo/protos/gen/silo/org/v1/organization_service.ts';
import { type Call, keyCaller } from '@silo/rpc/call.ts';
import { hashOf, isWellFormed } from '@silo/tokens/secrets.ts';
import { inviteAccepted, inviteDeleted, memberAdded } from '../events.ts';
import { memberMessage, organizationMessage } from '../messages.ts';
import { checkAcceptable } from '../rules/invites.ts';
import { ownersAdded } from '../rules/last-owner.ts';
import type {
  AccountDocument,
  InviteDocument,
  MembershipDocument,
  OrganizationDocument,
} from '../store/documents.ts';
import type { Stores } from '../store/set-up.ts';
import type { Dependencies } from './dependencies.ts';

/**
 * Joins the organization that issued an invite code. All refusals of an invalid code look the same.
 */
export async function acceptInvite(
  { code }: AcceptInviteRequest,
  call: Call,
  { stores, eventLog }: Pick<Dependencies, 'stores' | 'eventLog'>,
): Promise<Outcome<AcceptInviteResponse>> {
  if (!isWellFormed(code, 'ivc_')) throw errors.inviteCodeInvalid();
  const { accountId } = keyCaller(call).key;
  return await eventLog.mutate(call, AcceptInviteResponse, async (tx) => {
    const invited = await findInvited(stores, tx, { codeHash: hashOf(code), accountId });
    const { organizationId } = invited.invite;
    const { organization, member } = await join(stores, tx, invited);
    const alsoDemands = [{ organizationId, level: Level.LEVEL_MEMBER }];
    return {
      response: {
        organization: organizationMessage(organization, member.level),
        member: memberMessage(member, invited.account),
      },
      alsoDemands,
    };
  });
}

type Invited = {
  invite: InviteDocument;
  organization: OrganizationDocument;
  account: AccountDocument;
};

async function findInvited(
  { accounts, organizations, members, invites }: Stores,
  tx: Transaction,
  { codeHash, accountId }: { codeHash: Uint8Array; accountId: string },
): Promise<Invited> {
  const { now } = tx;
  const invite = await invites.findByCodeIn(tx, codeHash);
  if (invite === undefined) throw errors.inviteCodeInvalid();
  const { organizationId, inviterAccountId } = invite;
  const organization = await organizations.findIn(tx, organizationId);
  const account = await accounts.findIn(tx, accountId);
  if (organization === undefined || account === undefined) throw errors.inviteCodeInvalid();
  const inviter = await members.findIn(tx, organizationId, inviterAccountId);
  checkAcceptable(invite, { email: account.email, inviterLevel: inviter?.level, now });
  const already = await members.findIn(tx, organizationId, accountId);
  if (already !== undefined) throw errors.alreadyMember(accountId);
  return { invite, organization, account };
}

async function join(
  stores: Stores,
  tx: Transaction,
  { invite, organization, account }: Invited,
): Promise<{ organization: OrganizationDocument; member: MembershipDocument }> {
  const { organizationId, level } = invite;
  const accountId = account._id;
  const stamp = { actor: accountId, time: tx.now };
  // Removes every invite for this e-mail: a second code must not restore a member who is removed
  // later.
  const spent = await stores.invites.removeOfEmail(tx, organizationId, invite.comparableEmail);
  const revision = organization.memberRevision + 1;
  const after = {
    ...organization,
    ownerCount: organization.ownerCount + ownersAdded(undefined, level),
    memberCount: organization.memberCount + 1,
    memberRevision: revision,
  };
  await stores.organizations.save(tx, after);
  const joined = { accountId, organizationId, level, revision, joinTime: tx.now };
  const member = await stores.members.insert(tx, joined);
  tx.emit(memberAdded(member, stamp));
  tx.emit(inviteAccepted(invite, accountId, stamp));
  for (const { id } of spent) {
    if (id !== invite._id) tx.emit(inviteDeleted(organizationId, id, stamp));
  }
  return { organization: after, member };
}
