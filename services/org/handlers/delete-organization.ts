import type { Access } from '@silo/access/access.ts';
import { errors } from '@silo/errors/errors.ts';
import type { Unpropagated } from '@silo/mongo/mutation.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import type {
  DeleteOrganizationRequest,
  DeleteOrganizationResponse,
} from '@silo/protos/gen/silo/org/v1/organization_service.ts';
import { TryResult } from '@silo/protos/gen/silo/project/internal/v1/slot_service.ts';
import { type Call, keyCaller } from '@silo/rpc/call.ts';
import { refusalError } from '@silo/rpc/refusal.ts';
import { beginOrJoin, sagaOf } from '@silo/saga/begin-or-join.ts';
import { checkEtag } from '@silo/tokens/etag.ts';
import { ulid } from 'ulid';
import { type Deletion, deletionLock } from '../sagas/delete-organization.ts';
import type { Dependencies } from './dependencies.ts';
import { reauthorizeInTransaction } from './shared/reauthorize-in-transaction.ts';

type Needed = Pick<Dependencies, 'stores' | 'eventLog' | 'sagas' | 'definitions' | 'access'>;

/**
 * Deletes an organization that has no project. If the request says so, its deleted projects that
 * could still be undeleted are lost.
 */
export async function deleteOrganization(
  request: DeleteOrganizationRequest,
  call: Call,
  needed: Needed,
): Promise<Unpropagated<DeleteOrganizationResponse>> {
  const { sagas, definitions, access } = needed;

  const sagaId = await beginOrJoin(call.repeat, () => begin(needed, request, call), sagaOf);
  const saga = await sagas.finish(definitions.deleteOrganization, sagaId, call.signal);
  if (saga.state === 'refused') throw await refusalOf(access, call, saga.data);
  return {};
}

/** Writes the intent, whose revision orders the conditional change. */
async function begin(
  { stores, eventLog, sagas, definitions }: Needed,
  { organizationId, etag, endDeletedProjects }: DeleteOrganizationRequest,
  call: Call,
): Promise<string> {
  const { actor, request } = call;
  const { key, keyHash } = keyCaller(call);
  const { accountId } = key;
  const sagaId = ulid().toLowerCase();
  await eventLog.decide({ ...call, id: sagaId }, async (tx) => {
    const required = { organizationId, accountId, least: Level.LEVEL_OWNER };
    const { organization } = await reauthorizeInTransaction(stores, tx, required);
    checkEtag(etag, organization.revision);
    const revision = organization.deletionRevision + 1;
    const data = {
      organizationId,
      revision,
      accountId,
      keyHash: Buffer.from(keyHash),
      endDeletedProjects,
      ...(request && { requestKey: Buffer.from(request.key) }),
    };
    const lock = deletionLock(organizationId);
    await sagas.begin(tx, definitions.deleteOrganization, { id: sagaId, data, actor, lock });
    await stores.organizations.save(tx, { ...organization, deletionRevision: revision });
    // The caller may retry after the organization is deleted.
    const reauthorize = [{ organizationId, level: Level.LEVEL_OWNER, evenGone: true }];
    tx.remember({ reauthorize, sagaId });
  });
  return sagaId;
}

async function refusalOf(
  access: Access,
  call: Call,
  { organizationId, result, count = 0, deletedCount = 0 }: Deletion,
): Promise<Error> {
  if (result === TryResult.TRY_RESULT_REFUSED_COUNT) {
    return errors.organizationNotEmpty(count, deletedCount);
  }
  if (result === TryResult.TRY_RESULT_REFUSED_LATE) return errors.requestInProgress();
  // A refusal for missing access in the conditional change is reported like any other.
  const { keyHash } = keyCaller(call);
  const level = Level.LEVEL_OWNER;
  const question = { keyHash, scope: 'organization:write', organizationId, level };
  const answer = await access.authorize(question, call.signal);
  return answer.allowed ? errors.requestInProgress() : refusalError(answer.refusal);
}
