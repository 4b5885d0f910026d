import type {
  GetSubscriptionRequest,
  GetSubscriptionResponse,
} from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { type Call, targetOrganization } from '@silo/rpc/call.ts';
import { toSubscription, withoutBillingDetails } from '../messages.ts';
import { openSubscription } from '../rules/subscription.ts';
import type { Dependencies } from './dependencies.ts';

/**
 * GetSubscription: returns plan and billing details from here, and limit and number of projects
 * from project, which owns them.
 */
export async function getSubscription(
  { organizationId }: GetSubscriptionRequest,
  call: Call,
  { subscriptions, slots }: Dependencies,
): Promise<GetSubscriptionResponse> {
  const { signal } = call;
  const [found, numbers] = await Promise.all([
    subscriptions.find(organizationId, signal),
    slots.getSlots({ organizationId }, { signal }),
  ]);
  const subscription = toSubscription(openSubscription(found, organizationId), numbers);
  const isAdmin = targetOrganization(call).level >= Level.LEVEL_ADMIN;
  return { subscription: isAdmin ? subscription : withoutBillingDetails(subscription) };
}
