import { errors } from '@silo/errors/errors.ts';
import type { PlanDescription } from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import type { SubscriptionDocument } from '../store/documents.ts';

/**
 * The subscription of an organization that there is. Refuses with NOT_READY where it is not open
 * yet, with ORGANIZATION_NOT_FOUND where it has ended.
 */
export function openSubscription(
  subscription: SubscriptionDocument | undefined,
  organizationId: string,
): SubscriptionDocument {
  if (subscription === undefined) throw errors.notReady('the subscription');
  if (subscription.closed) throw errors.organizationNotFound(organizationId);
  return subscription;
}

/** Throws BILLING_DETAILS_REQUIRED if the plan requires billing details. */
export function checkBillingDetails(
  subscription: SubscriptionDocument,
  plan: PlanDescription,
): void {
  if (plan.billingDetailsRequired && subscription.billingDetails === undefined) {
    throw errors.billingDetailsRequired();
  }
}
