import { reasonName } from '@silo/errors/reason-name.ts';
import { SiloError } from '@silo/errors/silo-error.ts';
import { Plan } from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import { checkEtag, etagOf } from '@silo/tokens/etag.ts';
import test from 'ava';
import { toSubscription, withoutBillingDetails } from '../messages.ts';
import { describePlan, plans } from '../rules/plan-catalogue.ts';
import { checkBillingDetails, openSubscription } from '../rules/subscription.ts';
import type { SubscriptionDocument } from '../store/documents.ts';
import { billingDetails, subscriptionDocument } from './support.ts';

function refusal(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof SiloError) return reasonName(error.reason);
    throw error;
  }
  return 'allowed';
}

test('the catalogue contains each plan once, smallest first', (t) => {
  t.deepEqual(
    plans.map(({ plan, projectLimit, migrations }) => [plan, projectLimit, migrations]),
    [
      [Plan.PLAN_FREE, 1, false],
      [Plan.PLAN_PAY_AS_YOU_GO, 6, false],
      [Plan.PLAN_SCALE, undefined, true],
      [Plan.PLAN_ENTERPRISE, undefined, true],
    ],
  );
  t.true(
    plans.every(({ price }) => price !== ''),
    'each names its price',
  );
  t.throws(() => describePlan(Plan.PLAN_UNSPECIFIED), { instanceOf: RangeError });
});

const { PLAN_FREE, PLAN_PAY_AS_YOU_GO, PLAN_SCALE, PLAN_ENTERPRISE } = Plan;

for (const [from, to, hasDetails, outcome] of [
  [PLAN_FREE, PLAN_PAY_AS_YOU_GO, false, 'BILLING_DETAILS_REQUIRED'],
  [PLAN_FREE, PLAN_SCALE, false, 'BILLING_DETAILS_REQUIRED'],
  [PLAN_FREE, PLAN_ENTERPRISE, false, 'BILLING_DETAILS_REQUIRED'],
  [PLAN_FREE, PLAN_PAY_AS_YOU_GO, true, 'allowed'],
  [PLAN_SCALE, PLAN_FREE, false, 'allowed'],
  [PLAN_SCALE, PLAN_PAY_AS_YOU_GO, true, 'allowed'],
] as const) {
  test(`from plan ${from} to ${to} ${hasDetails ? 'with' : 'without'} billing details: ${outcome}`, (t) => {
    const present = subscriptionDocument({
      plan: from,
      ...(hasDetails && { billingDetails }),
    });
    t.is(
      refusal(() => checkBillingDetails(present, describePlan(to))),
      outcome,
    );
  });
}

test('a subscription is not ready before it is open, and not found after it has ended', (t) => {
  const outcome = (found: SubscriptionDocument | undefined) =>
    refusal(() => openSubscription(found, 'org_us_1'));
  t.is(outcome(undefined), 'NOT_READY');
  t.is(outcome(subscriptionDocument({ closed: true })), 'ORGANIZATION_NOT_FOUND');
  t.is(outcome(subscriptionDocument()), 'allowed');
});

test('an etag must be empty or match the present revision', (t) => {
  const outcome = (etag: string) => refusal(() => checkEtag(etag, 41));
  t.is(outcome(''), 'allowed');
  t.is(outcome(etagOf(41)), 'allowed');
  t.is(outcome(etagOf(40)), 'ETAG_MISMATCH');
});

test('a count of 0 is returned, an absent limit is not', (t) => {
  const subscription = toSubscription(subscriptionDocument({ billingDetails }), {});
  t.is(subscription.projectCount, 0);
  t.is(subscription.projectLimit, undefined);
  t.deepEqual(subscription.billingDetails, billingDetails);
  t.is(withoutBillingDetails(subscription).billingDetails, undefined);
});
