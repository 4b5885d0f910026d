import type {
  PlanDescription,
  Subscription,
} from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import type { Block } from '../text.ts';
import { facts, planText, slotsText } from './values.ts';

export function plansBlocks(plans: readonly PlanDescription[]): Block[] {
  const rows = plans.map((plan) => [
    planText(plan.plan),
    plan.displayName,
    String(plan.projectLimit ?? 'unlimited'),
    plan.billingDetailsRequired ? 'yes' : 'no',
  ]);
  return [{ head: ['plan', 'name', 'projects', 'billing details'], rows }];
}

export function subscriptionBlocks(subscription: Subscription): Block[] {
  const { billingDetails: details } = subscription;
  return facts(
    ['organization', subscription.organizationId],
    ['plan', planText(subscription.plan)],
    ['projects', slotsText(subscription.projectCount, subscription.projectLimit)],
    ['company', details?.companyName],
    ['invoices to', details?.email],
    ['address', details && `${details.address}, ${details.countryCode}`],
    ['tax number', details?.taxId],
  );
}
