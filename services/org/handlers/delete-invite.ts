import { errors } from '@silo/errors/errors.ts';
import type { Outcome } from '@silo/mongo/mutation.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import {
  type DeleteInviteRequest,
  DeleteInviteResponse,
} from '@silo/protos/gen/silo/org/v1/organization_service.ts';
import { type Call, keyCaller } from '@silo/rpc/call.ts';
import { inviteDeleted } from '../events.ts';
import { checkWithinOwn } from '../rules/levels.ts';
import type { Dependencies } from './dependencies.ts';
import { reauthorizeInTransaction } from './shared/reauthorize-in-transaction.ts';

/** Withdraws an invite. */
export async function deleteInvite(
  { organizationId, inviteId }: DeleteInviteRequest,
  call: Call,
  { stores, eventLog }: Pick<Dependencies, 'stores' | 'eventLog'>,
): Promise<Outcome<DeleteInviteResponse>> {
  const { accountId } = keyCaller(call).key;
  const required = { organizationId, accountId, least: Level.LEVEL_ADMIN };
  return await eventLog.mutate(call, DeleteInviteResponse, async (tx) => {
    const { membership } = await reauthorizeInTransaction(stores, tx, required);
    const invite = await stores.invites.findOpenIn(tx, organizationId, inviteId, tx.now);
    if (invite === undefined) throw errors.inviteNotFound(inviteId);
    checkWithinOwn(membership.level, invite.level);
    await stores.organizations.noteInviteChange(tx, organizationId);
    await stores.invites.remove(tx, organizationId, inviteId);
    tx.emit(inviteDeleted(organizationId, inviteId, { actor: call.actor, time: tx.now }));
    return { response: {}, alsoDemands: [{ organizationId, level: invite.level }] };
  });
}
