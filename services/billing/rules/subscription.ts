import { errors } from '@silo/errors/errors.ts';
import type { PlanDescription } from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import type { SubscriptionDocument } from '../store/documents.ts';

/**
 * Checks that the subscription is open and returns it. Refuses with NOT_READY if it is not open
 * yet, and with ORGANIZATION_NOT_FOUND if it has ended.
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
