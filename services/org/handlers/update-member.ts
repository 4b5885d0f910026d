import { errors } from '@silo/errors/errors.ts';
import type { Outcome } from '@silo/mongo/mutation.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import {
  type UpdateMemberRequest,
  UpdateMemberResponse,
} from '@silo/protos/gen/silo/org/v1/organization_service.ts';
import { type Call, keyCaller } from '@silo/rpc/call.ts';
import { checkEtag } from '@silo/tokens/etag.ts';
import { memberUpdated } from '../events.ts';
import { memberMessage } from '../messages.ts';
import { checkKeepsOwner, ownersAdded } from '../rules/last-owner.ts';
import { checkWithinOwn, highest } from '../rules/levels.ts';
import type { Dependencies } from './dependencies.ts';
import { endInvites } from './shared/end-invites.ts';
import { reauthorizeInTransaction } from './shared/reauthorize-in-transaction.ts';

/** Changes a member's level. */
export async function updateMember(
  { member: wanted }: UpdateMemberRequest,
  call: Call,
  { stores, eventLog }: Pick<Dependencies, 'stores' | 'eventLog'>,
): Promise<Outcome<UpdateMemberResponse>> {
  if (wanted === undefined) throw errors.invalidField([]);
  const { organizationId, accountId, level } = wanted;
  const caller = keyCaller(call).key.accountId;
  const required = { organizationId, accountId: caller, least: Level.LEVEL_ADMIN };
  return await eventLog.mutate(call, UpdateMemberResponse, async (tx) => {
    const { organization, membership } = await reauthorizeInTransaction(stores, tx, required);
    const before = await stores.members.findIn(tx, organizationId, accountId);
    if (before === undefined) throw errors.memberNotFound(accountId);
    checkWithinOwn(membership.level, before.level, level);
    checkEtag(wanted.etag, before.revision);
    // A caller that has lowered its own level by this call may still repeat it.
    const stepsDown = caller === accountId && level < before.level;
    const demanded = highest(Level.LEVEL_ADMIN, before.level, level);
    const reauthorize = [{ organizationId, level: stepsDown ? level : demanded }];
    const account = await stores.accounts.findIn(tx, accountId);
    if (before.level === level) {
      // The call that lowered the level may still be waiting for its barrier.
      return { response: { member: memberMessage(before, account) }, reauthorize };
    }
    checkKeepsOwner(organization.ownerCount, before.level, level);
    const revision = organization.memberRevision + 1;
    const after = { ...before, level, revision };
    await stores.organizations.save(tx, {
      ...organization,
      ownerCount: organization.ownerCount + ownersAdded(before.level, level),
      memberRevision: revision,
    });
    await stores.members.save(tx, after);
    tx.emit(memberUpdated(after, before.level, { actor: call.actor, time: tx.now }));
    const keepsAccess = level > before.level;
    if (!keepsAccess) {
      await endInvites(stores, tx, { member: after, level, actor: call.actor });
    }
    return { response: { member: memberMessage(after, account) }, reauthorize, keepsAccess };
  });
}
