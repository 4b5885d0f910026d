import { enumName } from '@silo/protos/enum-name.ts';
import { Plan, PlanDescription } from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import catalogue from './plan-catalogue.json' with { type: 'json' };

/** The plans that can be chosen, smallest first. */
export const plans: readonly PlanDescription[] = catalogue.map((entry) =>
  PlanDescription.fromJSON(entry),
);

/** Returns the description of a plan. */
export function describePlan(plan: Plan): PlanDescription {
  const found = plans.find((each) => each.plan === plan);
  if (found === undefined) throw new RangeError(`unknown plan: ${enumName(Plan, plan)}`);
  return found;
}
