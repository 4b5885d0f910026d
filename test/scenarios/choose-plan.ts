/** Of scenarios, for those who use them outside of a test, too: this loads no ava. */
import { Plan } from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import { billingDetails } from '../authorization/world.ts';
import type { PublicApi } from '../harness/clients.ts';

/** Billing details, then this plan. */
export async function choosePlan(
  api: PublicApi,
  organizationId: string,
  plan: Plan = Plan.PLAN_PAY_AS_YOU_GO,
): Promise<void> {
  const unconditional = { organizationId, etag: '', requestId: '' };
  await api.billing.updateBillingDetails({ ...unconditional, billingDetails });
  await api.billing.changePlan({ ...unconditional, plan });
}

/** What is there, where a message says that it may not be. */
export function present<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('an empty answer');
  return value;
}
