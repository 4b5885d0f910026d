import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import {
  type LeaveOrganizationRequest,
  LeaveOrganizationResponse,
} from '@silo/protos/gen/silo/org/v1/organization_service.ts';
import { type Handler, keyCaller } from '@silo/rpc/call.ts';
import { decideIn } from './decide-in.ts';
import type { Dependencies } from './dependencies.ts';
import { endMembership } from './end-membership.ts';

/** Ends the caller's own membership. */
export function createLeaveOrganization({
  stores,
  eventLog,
}: Pick<Dependencies, 'stores' | 'eventLog'>): Handler<
  LeaveOrganizationRequest,
  LeaveOrganizationResponse
> {
  return async ({ organizationId }, call) => {
    const { accountId } = keyCaller(call).key;
    const ask = { organizationId, accountId, least: Level.LEVEL_MEMBER };
    const { response } = await eventLog.mutate(call, LeaveOrganizationResponse, async (tx) => {
      const { organization, membership: member } = await decideIn(stores, tx, ask);
      await endMembership(stores, tx, { organization, member, actor: call.actor });
      // Whoever has left may still repeat it.
      return { response: {}, reauthorize: [] };
    });
    return response;
  };
}
