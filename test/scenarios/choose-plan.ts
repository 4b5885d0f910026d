/** Parts of scenarios that are also used outside of tests, so this file does not load ava. */
import { Plan } from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import { billingDetails } from '../authorization/world.ts';
import type { PublicApi } from '../harness/clients.ts';

/** Enters billing details, then chooses this plan. */
export async function choosePlan(
  api: PublicApi,
  organizationId: string,
  plan: Plan = Plan.PLAN_PAY_AS_YOU_GO,
): Promise<void> {
  const unconditional = { organizationId, etag: '', requestId: '' };
  await api.billing.updateBillingDetails({ ...unconditional, billingDetails });
  await api.billing.changePlan({ ...unconditional, plan });
}

/** The value of a field that the message type declares optional. */
export function present<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('an empty answer');
  return value;
}
