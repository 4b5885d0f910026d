import { errors } from '@silo/errors/errors.ts';
import type { Outcome } from '@silo/mongo/mutation.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import {
  type UpdateOrganizationRequest,
  UpdateOrganizationResponse,
} from '@silo/protos/gen/silo/org/v1/organization_service.ts';
import { type Call, keyCaller } from '@silo/rpc/call.ts';
import { checkEtag } from '@silo/tokens/etag.ts';
import { organizationUpdated } from '../events.ts';
import { organizationMessage } from '../messages.ts';
import { organizationChanges, wantedOrganizationFields } from '../rules/organization-update.ts';
import type { Dependencies } from './dependencies.ts';
import { reauthorizeInTransaction } from './shared/reauthorize-in-transaction.ts';

/** Changes an organization's name, or whether members may create projects. */
export async function updateOrganization(
  { organization: given, updateMask }: UpdateOrganizationRequest,
  call: Call,
  { stores, eventLog }: Pick<Dependencies, 'stores' | 'eventLog'>,
): Promise<Outcome<UpdateOrganizationResponse>> {
  if (given === undefined) throw errors.invalidField([]);
  const wanted = wantedOrganizationFields(given, updateMask);
  const { accountId } = keyCaller(call).key;
  const required = { organizationId: given.id, accountId, least: Level.LEVEL_ADMIN };
  // The barrier is also required if creating projects is forbidden already: the call that forbade
  // it may still be waiting for its barrier.
  const keepsAccess = wanted.membersMayCreateProjects !== false;
  return await eventLog.mutate(call, UpdateOrganizationResponse, async (tx) => {
    const { organization: before, membership } = await reauthorizeInTransaction(
      stores,
      tx,
      required,
    );
    checkEtag(given.etag, before.revision);
    const changes = organizationChanges(before, wanted);
    if (changes.length === 0) {
      const organization = organizationMessage(before, membership.level);
      return { response: { organization }, keepsAccess };
    }
    const after = { ...before, ...wanted, revision: before.revision + 1, updateTime: tx.now };
    await stores.organizations.save(tx, after);
    tx.emit(organizationUpdated(after, changes, { actor: call.actor, time: tx.now }));
    const organization = organizationMessage(after, membership.level);
    return { response: { organization }, keepsAccess };
  });
}
