import type {
  OpenSubscriptionRequest,
  OpenSubscriptionResponse,
} from '@silo/protos/gen/silo/billing/internal/v1/subscription_service.ts';
import { Plan } from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import { SubscriptionCreated } from '@silo/protos/gen/silo/events/v1/events.ts';
import type { Handler } from '@silo/rpc/call.ts';
import { describePlan } from '../rules/plan-catalogue.ts';
import type { Dependencies } from './dependencies.ts';

/** OpenSubscription: on the free plan, unless the organization has, or had, one. */
export const createOpenSubscription =
  ({
    eventLog,
    subscriptions,
  }: Dependencies): Handler<OpenSubscriptionRequest, OpenSubscriptionResponse> =>
  async ({ organizationId, actor, correlationId }, call) => {
    const mutation = {
      id: correlationId || call.id,
      actor: actor || call.actor,
      signal: call.signal,
      permits: undefined,
    };
    const plan = Plan.PLAN_FREE;
    await eventLog.decide(mutation, async ({ session, now, emit }) => {
      if ((await subscriptions.findIn(session, organizationId)) !== undefined) return;
      await subscriptions.insert(session, {
        ...{ _id: organizationId, plan, closed: false, revision: 1, intentRevision: 0 },
        ...{ createTime: now, updateTime: now },
      });
      emit({
        event: 'subscription_created',
        subject: organizationId,
        body: SubscriptionCreated.toJSON({
          ...{ organizationId, plan, revision: 1, actor: mutation.actor, time: now },
        }),
      });
    });
    return { limit: describePlan(plan).projectLimit };
  };
