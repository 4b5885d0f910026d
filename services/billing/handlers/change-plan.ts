import type { Access } from '@silo/access/access.ts';
import { errors } from '@silo/errors/errors.ts';
import type { Transaction } from '@silo/log/event-log.ts';
import type { RequestRecord } from '@silo/mongo/mutation.ts';
import {
  type ChangePlanRequest,
  ChangePlanResponse,
} from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { type Call, keyCaller } from '@silo/rpc/call.ts';
import { beforePermit } from '@silo/rpc/check-access.ts';
import { refusalError } from '@silo/rpc/refusal.ts';
import { beginOrJoin } from '@silo/saga/begin-or-join.ts';
import { checkEtag } from '@silo/tokens/etag.ts';
import { ulid } from 'ulid';
import { type SlotNumbers, toSubscription } from '../messages.ts';
import { describePlan } from '../rules/plan-catalogue.ts';
import { checkBillingDetails, openSubscription } from '../rules/subscription.ts';
import { type ChangePlanData, changePlanLock } from '../sagas/change-plan.ts';
import type { Dependencies } from './dependencies.ts';

/**
 * The decision: the response if nothing changes, otherwise the id of the saga that changes the
 * plan.
 */
type Decision = { response: ChangePlanResponse } | { sagaId: string };

/** ChangePlan: writes an intent, requests a conditional change at project, then sets the plan. */
export async function changePlan(
  request: ChangePlanRequest,
  call: Call,
  dependencies: Dependencies,
): Promise<ChangePlanResponse> {
  const decision = await beginOrJoin(
    call.repeat,
    () => decide(dependencies, request, call),
    repeatOf,
  );
  if ('response' in decision) return decision.response;
  const { sagas, changePlanSaga, access } = dependencies;
  const { data } = await sagas.finish(changePlanSaga, decision.sagaId, call.signal);
  if (data.answer !== undefined) return ChangePlanResponse.decode(data.answer);
  throw await refusalOf(data, access, call);
}

async function decide(
  dependencies: Dependencies,
  request: ChangePlanRequest,
  call: Call,
): Promise<Decision> {
  const { access, eventLog, slots } = dependencies;
  const { organizationId } = request;
  // Refuses with NOT_READY while the organization is being created. Nothing is decided in that
  // case.
  const [numbers] = await beforePermit({ access, call }, needsOf(organizationId), () =>
    slots.getSlots({ organizationId }, { signal: call.signal }),
  );
  const sagaId = ulid().toLowerCase();
  const { value } = await eventLog.decide(call, (tx) =>
    intend(dependencies, { request, call, numbers, sagaId, tx }),
  );
  return value;
}

/** Writes the intent, or returns the response if nothing changes. */
async function intend(
  { subscriptions, sagas, changePlanSaga }: Dependencies,
  intent: {
    request: ChangePlanRequest;
    call: Call;
    numbers: SlotNumbers;
    sagaId: string;
    tx: Transaction;
  },
): Promise<Decision> {
  const { request, call, numbers, sagaId, tx } = intent;
  const { organizationId, plan, etag } = request;
  const found = await subscriptions.findIn(tx, organizationId);
  const present = openSubscription(found, organizationId);
  checkEtag(etag, present.revision);
  if (present.plan === plan) {
    const answer = { subscription: toSubscription(present, numbers) };
    const response = ChangePlanResponse.encode(answer).finish();
    tx.remember({ response });
    return { response: answer };
  }
  checkBillingDetails(present, describePlan(plan));
  const revision = present.intentRevision + 1;
  await subscriptions.save(tx, { ...present, intentRevision: revision }, present.revision);
  const { keyHash, key } = keyCaller(call);
  const data: ChangePlanData = {
    ...{ organizationId, plan, revision, accountId: key.accountId },
    keyHash: Buffer.from(keyHash),
    requestKey: call.request && Buffer.from(call.request.key),
  };
  const lock = changePlanLock(organizationId);
  await sagas.begin(tx, changePlanSaga, { id: sagaId, data, actor: call.actor, lock });
  tx.remember({ sagaId });
  return { sagaId };
}

/** The access that the method's option requires. */
function needsOf(organizationId: string) {
  return { scope: 'billing:write', organizationId, level: Level.LEVEL_ADMIN };
}

function repeatOf({ sagaId, response }: RequestRecord): Decision {
  if (sagaId !== undefined) return { sagaId };
  if (response !== undefined) return { response: ChangePlanResponse.decode(response) };
  throw new TypeError('the record of a change of plan has neither a saga nor a response');
}

async function refusalOf(data: ChangePlanData, access: Access, call: Call): Promise<Error> {
  const { organizationId, plan, count = 0, refusal } = data;
  switch (refusal) {
    case 'count':
      return errors.planLimitExceeded({ limit: describePlan(plan).projectLimit ?? 0, count });
    case 'access': {
      // The key of this call may differ from the key that began the change, and may be valid.
      const question = { keyHash: keyCaller(call).keyHash, ...needsOf(organizationId) };
      const answer = await access.authorize(question, call.signal);
      return answer.allowed ? errors.requestInProgress() : refusalError(answer.refusal);
    }
    case 'late':
    case undefined:
      return errors.requestInProgress();
  }
}
