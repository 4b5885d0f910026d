import type { Outcome } from '@silo/mongo/mutation.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import {
  type LeaveOrganizationRequest,
  LeaveOrganizationResponse,
} from '@silo/protos/gen/silo/org/v1/organization_service.ts';
import { type Call, keyCaller } from '@silo/rpc/call.ts';
import type { Dependencies } from './dependencies.ts';
import { endMembership } from './shared/end-membership.ts';
import { reauthorizeInTransaction } from './shared/reauthorize-in-transaction.ts';

/** Ends the caller's own membership. */
export async function leaveOrganization(
  { organizationId }: LeaveOrganizationRequest,
  call: Call,
  { stores, eventLog }: Pick<Dependencies, 'stores' | 'eventLog'>,
): Promise<Outcome<LeaveOrganizationResponse>> {
  const { accountId } = keyCaller(call).key;
  const required = { organizationId, accountId, least: Level.LEVEL_MEMBER };
  return await eventLog.mutate(call, LeaveOrganizationResponse, async (tx) => {
    const { organization, membership: member } = await reauthorizeInTransaction(
      stores,
      tx,
      required,
    );
    await endMembership(stores, tx, { organization, member, actor: call.actor });
    // The caller may retry after it has left.
    return { response: {}, reauthorize: [] };
  });
}
