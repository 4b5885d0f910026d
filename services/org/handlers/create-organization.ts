import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import type {
  CreateOrganizationRequest,
  CreateOrganizationResponse,
} from '@silo/protos/gen/silo/org/v1/organization_service.ts';
import { type Call, keyCaller } from '@silo/rpc/call.ts';
import { beginOrJoin, sagaOf } from '@silo/saga/begin-or-join.ts';
import { newId } from '@silo/tokens/ids.ts';
import { ulid } from 'ulid';
import { organizationMessage } from '../messages.ts';
import { newOrganization } from '../rules/founding.ts';
import { foundOrganization } from '../sagas/found-organization.ts';
import type { Dependencies } from './dependencies.ts';

type Needed = Pick<Dependencies, 'stores' | 'eventLog' | 'sagas' | 'definitions' | 'region'>;

/** Creates an organization that the caller owns, with its Default Project. */
export async function createOrganization(
  { name }: CreateOrganizationRequest,
  call: Call,
  needed: Needed,
): Promise<CreateOrganizationResponse> {
  const { sagas, definitions } = needed;

  const sagaId = await beginOrJoin(call.repeat, () => begin(needed, name, call), sagaOf);
  const saga = await sagas.finish(definitions.createOrganization, sagaId, call.signal);
  return {
    organization: organizationMessage(newOrganization(saga.data), Level.LEVEL_OWNER),
    projectId: saga.data.projectId,
    projectToken: saga.data.projectToken ?? '',
  };
}

async function begin(
  { stores, eventLog, sagas, definitions, region }: Needed,
  organizationName: string,
  call: Call,
): Promise<string> {
  const { actor } = call;
  const { accountId } = keyCaller(call).key;
  const sagaId = ulid().toLowerCase();
  const organizationId = newId(`org_${region}`);
  const projectId = newId('prj');
  await eventLog.decide({ ...call, id: sagaId }, async (tx) => {
    const named = { accountId, organizationId, organizationName, projectId };
    const data = { ...named, createTime: tx.now };
    await foundOrganization(stores, tx, data, actor);
    await sagas.begin(tx, definitions.createOrganization, { id: sagaId, data, actor });
    // The response contains the project's token. Members may read it wherever the project is now.
    const level = Level.LEVEL_MEMBER;
    const alsoDemands = [
      { organizationId, level },
      { projectId, level, evenGone: true },
    ];
    tx.remember({ alsoDemands, sagaId });
  });
  return sagaId;
}
