import type {
  BillingDetails,
  PlanDescription,
  Subscription,
} from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import type { NameOf } from '../names.ts';
import type { Block } from '../text.ts';
import { facts, limitText, planText, slotsText } from './values.ts';

export function plansBlocks(plans: readonly PlanDescription[]): Block[] {
  const rows = plans.map((plan) => [
    planText(plan.plan),
    plan.displayName,
    String(plan.projectLimit ?? 'unlimited'),
    plan.migrations ? 'yes' : 'no',
    plan.billingDetailsRequired ? 'yes' : 'no',
    plan.price,
  ]);
  return [
    { head: ['plan', 'name', 'projects', 'other regions', 'billing details', 'price'], rows },
  ];
}

export function subscriptionBlocks(subscription: Subscription, nameOf: NameOf): Block[] {
  const { billingDetails: details } = subscription;
  return facts(
    ['organization', nameOf(subscription.organizationId)],
    ['plan', planText(subscription.plan)],
    ['projects', slotsText(subscription.projectCount, subscription.projectLimit)],
    ['company', details?.companyName],
    ['invoices to', details?.email],
    ['address', details && `${details.address}, ${details.countryCode}`],
    ['tax number', details?.taxId],
  );
}

/** What a change of plan would change, shown before the user confirms. */
export function planChangeBlocks(
  { organizationId, plan, projectCount = 0, projectLimit, billingDetails }: Subscription,
  plans: readonly PlanDescription[],
  wanted: PlanDescription,
  nameOf: NameOf,
): Block[] {
  const present = plans.find((each) => each.plan === plan);
  const count = projectCount === 1 ? '1 project' : `${projectCount} projects`;
  const isFull = wanted.projectLimit !== undefined && projectCount > wanted.projectLimit;
  return [
    ['The plan of ', nameOf(organizationId), ' changes at once:'],
    {
      head: ['', 'now', 'then'],
      rows: [
        ['plan', planText(plan), planText(wanted.plan)],
        ['projects', limitText(projectLimit), limitText(wanted.projectLimit)],
        ['other regions', canText(present?.migrations), canText(wanted.migrations)],
        ['price', present?.price ?? '', wanted.price],
        ['payment', '', paymentText(wanted, billingDetails)],
      ],
    },
    isFull
      ? { text: `It has ${count}, which is too many for that plan.`, style: 'bad' }
      : `It has ${count}.`,
  ];
}

/** Whether projects may migrate to other regions. */
function canText(migrations: boolean | undefined): string {
  return migrations ? 'projects may migrate' : 'no migrations';
}

function paymentText(
  { billingDetailsRequired }: PlanDescription,
  details: BillingDetails | undefined,
): string {
  if (!billingDetailsRequired) return 'none';
  if (details === undefined) return 'invoiced; billing details are needed first';
  return `invoiced to ${details.companyName} (${details.email})`;
}
