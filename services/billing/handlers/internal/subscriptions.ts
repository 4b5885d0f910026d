import type {
  CloseSubscriptionRequest,
  CloseSubscriptionResponse,
  OpenSubscriptionRequest,
  OpenSubscriptionResponse,
} from '@silo/protos/gen/silo/billing/internal/v1/subscription_service.ts';
import { Plan } from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import type { Call } from '@silo/rpc/call.ts';
import { subscriptionCreated } from '../../events.ts';
import { describePlan } from '../../rules/plan-catalogue.ts';
import type { SubscriptionDocument } from '../../store/documents.ts';
import type { Dependencies } from '../dependencies.ts';

/**
 * OpenSubscription: opens a subscription on the free plan, unless the organization has or had one.
 */
export async function openSubscription(
  { organizationId, actor, correlationId }: OpenSubscriptionRequest,
  call: Call,
  { eventLog, subscriptions }: Dependencies,
): Promise<OpenSubscriptionResponse> {
  const mutation = {
    id: correlationId || call.id,
    actor: actor || call.actor,
    signal: call.signal,
    authorization: undefined,
  };
  const plan = Plan.PLAN_FREE;
  await eventLog.decide(mutation, async (tx) => {
    const { now, emit } = tx;
    if ((await subscriptions.findIn(tx, organizationId)) !== undefined) return;
    const created: SubscriptionDocument = {
      ...{ _id: organizationId, plan, closed: false, revision: 1, intentRevision: 0 },
      ...{ createTime: now, updateTime: now },
    };
    await subscriptions.insert(tx, created);
    emit(subscriptionCreated(created, { actor: mutation.actor, time: now }));
  });
  const { projectLimit: limit, migrations } = describePlan(plan);
  return { limit, migrations };
}

/**
 * CloseSubscription: closes the subscription of a deleted organization. Billing emits no event,
 * because org's event covers it. The billing details, which identify people, are deleted.
 */
export async function closeSubscription(
  { organizationId, actor, correlationId }: CloseSubscriptionRequest,
  call: Call,
  { eventLog, subscriptions }: Dependencies,
): Promise<CloseSubscriptionResponse> {
  const mutation = {
    id: correlationId || call.id,
    actor: actor || call.actor,
    signal: call.signal,
    authorization: undefined,
  };
  await eventLog.decide(mutation, async (tx) => {
    const { now } = tx;
    const present = await subscriptions.findIn(tx, organizationId);
    if (present === undefined || present.closed) return;
    const { billingDetails, ...kept } = present;
    const revision = present.revision + 1;
    const after = { ...kept, closed: true, revision, updateTime: now, closeTime: now };
    await subscriptions.save(tx, after, present.revision);
  });
  return {};
}
