import { eventType } from '@silo/log/event-types.ts';
import { ChangePlanResponse, Plan } from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import test from 'ava';
import { eventually } from '../../../test/harness/eventually.ts';
import { refused } from '../../../test/harness/refusals.ts';
import { billingDetails, keyHash, openBilling, subscriptionDocument } from './support.ts';

const paying = subscriptionDocument({ billingDetails });

test('an accepted conditional change sets the plan, with one event', async (t) => {
  const { project, insert, change, subscriptions, events } = await openBilling(t);
  await insert(paying);
  const { subscription } = await change(Plan.PLAN_PAY_AS_YOU_GO);
  t.like(subscription, {
    ...{ plan: Plan.PLAN_PAY_AS_YOU_GO, projectLimit: 6, projectCount: 1, etag: '2' },
  });
  t.is(project.limit, 6);
  t.like(project.changes, [
    { organizationId: 'org_us_1', limit: 6, migrations: false, revision: 1 },
  ]);
  const { signal } = new AbortController();
  t.like(await subscriptions.find('org_us_1', signal), { plan: Plan.PLAN_PAY_AS_YOU_GO });
  await eventually(async () => {
    if ((await events()).length === 0) throw new Error('not sequenced yet');
  });
  const [event, ...others] = await events();
  t.like(event, {
    ...{ type: eventType('billing', 'plan_changed'), subject: 'org_us_1', actor: 'acc_1' },
  });
  t.like(JSON.parse(event?.bodyJson ?? ''), {
    ...{ oldPlan: 'PLAN_FREE', plan: 'PLAN_PAY_AS_YOU_GO', revision: 2 },
  });
  t.deepEqual(others, []);
});

test('leaving the free plan without billing details is refused before anything changes', async (t) => {
  const { project, insert, change } = await openBilling(t);
  await insert(subscriptionDocument());
  await refused(t, change(Plan.PLAN_SCALE), 'BILLING_DETAILS_REQUIRED');
  t.deepEqual(project.changes, []);
});

test('a plan with a limit below the number of projects is refused with both numbers', async (t) => {
  const { project, insert, change } = await openBilling(t);
  await insert({ ...paying, plan: Plan.PLAN_SCALE });
  project.count = 7;
  const error = await refused(t, change(Plan.PLAN_PAY_AS_YOU_GO), 'PLAN_LIMIT_EXCEEDED');
  t.deepEqual(error?.metadata, { limit: '6', count: '7' });
});

test('a refusal is not remembered: the same request succeeds once there are fewer projects', async (t) => {
  const { project, insert, change } = await openBilling(t);
  await insert({ ...paying, plan: Plan.PLAN_SCALE });
  project.count = 7;
  const requestId = 'downgrade';
  const request = () => change(Plan.PLAN_PAY_AS_YOU_GO, { requestId });
  await refused(t, request(), 'PLAN_LIMIT_EXCEEDED');
  project.count = 6;
  t.like((await request()).subscription, { plan: Plan.PLAN_PAY_AS_YOU_GO, projectCount: 6 });
  t.deepEqual(
    project.changes.map(({ revision }) => revision),
    [1, 2],
  );
});

test('the same request returns the same response, also if repeated concurrently', async (t) => {
  const { project, insert, change, events } = await openBilling(t);
  await insert(paying);
  const request = () => change(Plan.PLAN_SCALE, { requestId: 'upgrade' });
  const [first, ...others] = await Promise.all([request(), request(), request()]);
  others.push(await request());
  if (first === undefined) return t.fail();
  t.true(project.changes[0]?.migrations, 'the plan allows migrations to other regions');
  const bytes = ChangePlanResponse.encode(first).finish();
  for (const other of others) t.deepEqual(ChangePlanResponse.encode(other).finish(), bytes);
  t.is(new Set(project.changes.map(({ revision }) => revision)).size, 1);
  await eventually(async () => {
    if ((await events()).length === 0) throw new Error('not sequenced yet');
  });
  t.is((await events()).length, 1);
});

test('of two concurrent changes one succeeds, and the other is refused while it runs', async (t) => {
  const { insert, change, subscriptions } = await openBilling(t);
  await insert(paying);
  const plans = [Plan.PLAN_SCALE, Plan.PLAN_ENTERPRISE, Plan.PLAN_PAY_AS_YOU_GO];
  const outcomes = await Promise.allSettled(plans.map((plan) => change(plan)));
  const done = outcomes.filter(({ status }) => status === 'fulfilled');
  t.true(done.length >= 1);
  for (const outcome of outcomes) {
    if (outcome.status === 'fulfilled') continue;
    t.like(outcome.reason, { reason: ErrorReason.ERROR_REASON_REQUEST_IN_PROGRESS });
  }
  const after = await subscriptions.find('org_us_1', new AbortController().signal);
  t.is(after?.revision, 1 + done.length);
});

test('a caller that lost access in the meantime gets an error, and nothing is changed', async (t) => {
  const { project, insert, change, subscriptions } = await openBilling(t);
  await insert(paying);
  project.before = (rpc) => {
    if (rpc === 'trySetLimit') project.mayAccess = false;
  };
  await refused(t, change(Plan.PLAN_SCALE), 'ADMIN_REQUIRED');
  t.like(await subscriptions.find('org_us_1', new AbortController().signal), {
    ...{ plan: Plan.PLAN_FREE, revision: 1 },
  });
  project.before = () => {};
  project.mayAccess = true;
  t.like((await change(Plan.PLAN_SCALE)).subscription, { plan: Plan.PLAN_SCALE });
});

test('a change is refused by the key of the present call, not by the key that began it', async (t) => {
  const { db, project, insert, change, join } = await openBilling(t);
  await insert(paying);
  project.before = (rpc) => {
    if (rpc !== 'trySetLimit') return;
    project.mayAccess = false;
    project.deadKey = keyHash;
  };
  await refused(t, change(Plan.PLAN_SCALE), 'TOKEN_INVALID');
  const saga = await db.collection<{ _id: string }>('sagas').findOne();
  const repeat = () => join(Plan.PLAN_SCALE, saga?._id ?? '');
  await refused(t, repeat(), 'ADMIN_REQUIRED');
  project.mayAccess = true;
  await refused(t, repeat(), 'REQUEST_IN_PROGRESS');
});

for (const name of ['change', 'updateDetails'] as const) {
  test(`${name} holds no permit during its call to project, and one when it decides`, async (t) => {
    const billing = await openBilling(t);
    const { project, permits, insert } = billing;
    await insert(paying);
    let held: number | undefined;
    project.before = (rpc) => {
      if (rpc === 'getSlots') held = permits.held;
    };
    await (name === 'change' ? billing.change(Plan.PLAN_SCALE) : billing.updateDetails());
    t.is(held, 0);
    t.deepEqual(permits, { taken: 2, held: 0 });
  });

  test(`${name} decides nothing for a caller that has lost its access since its call began`, async (t) => {
    const billing = await openBilling(t);
    const { project, insert, subscriptions } = billing;
    await insert(paying);
    project.before = (rpc) => {
      if (rpc === 'getSlots') project.mayAccess = false;
    };
    const made = name === 'change' ? billing.change(Plan.PLAN_SCALE) : billing.updateDetails();
    await refused(t, made, 'ADMIN_REQUIRED');
    t.deepEqual(project.changes, []);
    t.deepEqual(await subscriptions.find('org_us_1', new AbortController().signal), paying);
  });
}

test('a conditional change whose response was lost is repeated under the same revision', async (t) => {
  const { project, insert, change } = await openBilling(t);
  await insert(paying);
  project.answersLost = 2;
  t.like((await change(Plan.PLAN_SCALE)).subscription, { plan: Plan.PLAN_SCALE });
  t.deepEqual(
    project.changes.map(({ revision }) => revision),
    [1, 1, 1],
  );
});

test('a change to the present plan succeeds and changes nothing', async (t) => {
  const { project, insert, change } = await openBilling(t);
  await insert(subscriptionDocument());
  const first = await change(Plan.PLAN_FREE, { requestId: 'same' });
  t.like(first.subscription, { plan: Plan.PLAN_FREE, projectLimit: 1, etag: '1' });
  project.count = 0;
  t.like((await change(Plan.PLAN_FREE)).subscription, { projectCount: 0 });
  t.deepEqual(project.changes, []);
});

test('a change against an old etag, or before the subscription is open, is refused', async (t) => {
  const { insert, change } = await openBilling(t);
  await refused(t, change(Plan.PLAN_FREE), 'NOT_READY');
  await insert(paying);
  await refused(t, change(Plan.PLAN_SCALE, { etag: 'old' }), 'ETAG_MISMATCH');
});
