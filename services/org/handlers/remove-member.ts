import { errors } from '@silo/errors/errors.ts';
import type { Outcome } from '@silo/mongo/mutation.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import {
  type RemoveMemberRequest,
  RemoveMemberResponse,
} from '@silo/protos/gen/silo/org/v1/organization_service.ts';
import { type Call, keyCaller } from '@silo/rpc/call.ts';
import { checkEtag } from '@silo/tokens/etag.ts';
import { checkWithinOwn } from '../rules/levels.ts';
import type { Dependencies } from './dependencies.ts';
import { endMembership } from './shared/end-membership.ts';
import { reauthorizeInTransaction } from './shared/reauthorize-in-transaction.ts';

/** Removes a member. Callers may remove themselves, which is the same as leaving. */
export async function removeMember(
  { organizationId, accountId, etag }: RemoveMemberRequest,
  call: Call,
  { stores, eventLog }: Pick<Dependencies, 'stores' | 'eventLog'>,
): Promise<Outcome<RemoveMemberResponse>> {
  const caller = keyCaller(call).key.accountId;
  const required = { organizationId, accountId: caller, least: Level.LEVEL_ADMIN };
  return await eventLog.mutate(call, RemoveMemberResponse, async (tx) => {
    const { organization, membership } = await reauthorizeInTransaction(stores, tx, required);
    const member = await stores.members.findIn(tx, organizationId, accountId);
    if (member === undefined) throw errors.memberNotFound(accountId);
    checkWithinOwn(membership.level, member.level);
    checkEtag(etag, member.revision);
    await endMembership(stores, tx, { organization, member, actor: call.actor });
    // A caller that has removed itself by this call may still repeat it.
    if (caller === accountId) return { response: {}, reauthorize: [] };
    return { response: {}, alsoDemands: [{ organizationId, level: member.level }] };
  });
}
