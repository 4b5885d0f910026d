import type {
  CloseSubscriptionRequest,
  CloseSubscriptionResponse,
} from '@silo/protos/gen/silo/billing/internal/v1/subscription_service.ts';
import type { Handler } from '@silo/rpc/call.ts';
import type { Dependencies } from './dependencies.ts';

/**
 * CloseSubscription: the organization is deleted. Told by org's event, not by one of billing's. The
 * billing details, which name people, end with it.
 */
export const createCloseSubscription =
  ({
    eventLog,
    subscriptions,
  }: Dependencies): Handler<CloseSubscriptionRequest, CloseSubscriptionResponse> =>
  async ({ organizationId, actor, correlationId }, call) => {
    const mutation = {
      id: correlationId || call.id,
      actor: actor || call.actor,
      signal: call.signal,
      permits: undefined,
    };
    await eventLog.decide(mutation, async ({ session, now }) => {
      const present = await subscriptions.findIn(session, organizationId);
      if (present === undefined || present.closed) return;
      const { billingDetails, ...kept } = present;
      const revision = present.revision + 1;
      const after = { ...kept, closed: true, revision, updateTime: now, closeTime: now };
      await subscriptions.save(session, after, present.revision);
    });
    return {};
  };
