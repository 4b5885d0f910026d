import type { Subscription } from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import { etagOf } from '@silo/tokens/etag.ts';
import type { SubscriptionDocument } from './store/documents.ts';

/** An organization's limit and number of projects. An absent limit means that there is none. */
export type SlotNumbers = { limit?: number | undefined; count?: number | undefined };

/** A subscription as an admin sees it. */
export function toSubscription(
  subscription: SubscriptionDocument,
  { limit, count }: SlotNumbers,
): Subscription {
  const { _id: organizationId, plan, billingDetails, updateTime, revision } = subscription;
  return {
    ...{ organizationId, plan, billingDetails, updateTime, etag: etagOf(revision) },
    ...{ projectLimit: limit, projectCount: count ?? 0 },
  };
}

/** The subscription as other members see it: without the billing details. */
export function withoutBillingDetails(subscription: Subscription): Subscription {
  return { ...subscription, billingDetails: undefined };
}
