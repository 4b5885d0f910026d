import type { EventDraft } from '@silo/log/event-log.ts';
import type { Plan } from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import {
  BillingDetailsUpdated,
  PlanChanged,
  SubscriptionCreated,
} from '@silo/protos/gen/silo/events/v1/events.ts';
import type { SubscriptionDocument } from './store/documents.ts';

/** The actor and the time of a change. */
export type Stamp = { actor: string; time: Date };

export function subscriptionCreated(
  { _id: organizationId, plan, revision }: SubscriptionDocument,
  stamp: Stamp,
): EventDraft {
  const body = SubscriptionCreated.toJSON({ organizationId, plan, revision, ...stamp });
  return { event: 'subscription_created', subject: organizationId, body };
}

/**
 * Says only that the billing details changed: they identify people, so the event does not contain
 * them.
 */
export function billingDetailsUpdated(
  { _id: organizationId, revision }: SubscriptionDocument,
  stamp: Stamp,
): EventDraft {
  const body = BillingDetailsUpdated.toJSON({ organizationId, revision, ...stamp });
  return { event: 'billing_details_updated', subject: organizationId, body };
}

export function planChanged(
  { _id: organizationId, plan, revision }: SubscriptionDocument,
  oldPlan: Plan,
  stamp: Stamp,
): EventDraft {
  const body = PlanChanged.toJSON({ organizationId, oldPlan, plan, revision, ...stamp });
  return { event: 'plan_changed', subject: organizationId, body };
}
