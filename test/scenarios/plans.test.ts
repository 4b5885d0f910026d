import { Plan } from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { join } from '../authorization/world.ts';
import type { PublicApi } from '../harness/clients.ts';
import { outcomes, refused } from '../harness/refusals.ts';
import {
  billingDetails,
  choosePlan,
  createProject,
  present,
  projectNames,
  scenarios,
} from './support.ts';

const test = scenarios();
const { PLAN_FREE, PLAN_PAY_AS_YOU_GO, PLAN_SCALE, PLAN_ENTERPRISE } = Plan;

function changePlan({ billing }: PublicApi, organizationId: string, plan: Plan, etag = '') {
  return billing.changePlan({ organizationId, plan, etag, requestId: '' });
}

function updateDetails({ billing }: PublicApi, organizationId: string, etag = '') {
  return billing.updateBillingDetails({ organizationId, billingDetails, etag, requestId: '' });
}

async function subscriptionOf({ billing }: PublicApi, organizationId: string) {
  return present((await billing.getSubscription({ organizationId })).subscription);
}

test('anyone may read the plans, smallest first', async (t) => {
  const { plans } = await t.context.silo.as().billing.listPlans({});
  t.deepEqual(
    plans.map(({ plan, projectLimit, migrations }) => [plan, projectLimit, migrations]),
    [
      [PLAN_FREE, 1, false],
      [PLAN_PAY_AS_YOU_GO, 6, false],
      [PLAN_SCALE, undefined, true],
      [PLAN_ENTERPRISE, undefined, true],
    ],
  );
});

test('an upgrade from free requires billing details, and then takes effect at once', async (t) => {
  const { api, organization } = await t.context.silo.signUp();
  const { id } = organization;
  for (const plan of [PLAN_PAY_AS_YOU_GO, PLAN_SCALE, PLAN_ENTERPRISE]) {
    const { details } = await refused(t, changePlan(api, id, plan), 'BILLING_DETAILS_REQUIRED');
    t.is(details.preconditionFailure?.[0]?.type, 'BILLING_DETAILS_REQUIRED');
  }
  await updateDetails(api, id);
  const { subscription } = await changePlan(api, id, PLAN_PAY_AS_YOU_GO);
  t.like(subscription, { plan: PLAN_PAY_AS_YOU_GO, projectLimit: 6, projectCount: 1 });
  t.deepEqual(await subscriptionOf(api, id), present(subscription));
  await createProject(api, id);
  t.is((await subscriptionOf(api, id)).projectCount, 2);
});

test('a plan without a limit shows none', async (t) => {
  const { api, organization } = await t.context.silo.signUp();
  await choosePlan(api, organization.id, PLAN_SCALE);
  t.is((await subscriptionOf(api, organization.id)).projectLimit, undefined);
  const all = Array.from({ length: 8 }, () => createProject(api, organization.id));
  t.deepEqual(await outcomes(all), Array(8).fill('OK'));
});

test('a downgrade takes effect at once if the usage fits, otherwise PLAN_LIMIT_EXCEEDED has the counts', async (t) => {
  const { api, organization } = await t.context.silo.signUp();
  const { id } = organization;
  await choosePlan(api, id, PLAN_SCALE);
  const { id: projectId } = await createProject(api, id);
  const error = await refused(t, changePlan(api, id, PLAN_FREE), 'PLAN_LIMIT_EXCEEDED');
  t.deepEqual(error.metadata, { limit: '1', count: '2' });
  t.is((await subscriptionOf(api, id)).plan, PLAN_SCALE);
  await createProject(api, id);
  await changePlan(api, id, PLAN_PAY_AS_YOU_GO);
  await api.projects.deleteProject({ projectId, etag: '', requestId: '' });
  await refused(t, changePlan(api, id, PLAN_FREE), 'PLAN_LIMIT_EXCEEDED');
});

test('after a downgrade to free nothing more can be created', async (t) => {
  const { api, organization } = await t.context.silo.signUp();
  const { id } = organization;
  await choosePlan(api, id);
  await changePlan(api, id, PLAN_FREE);
  await refused(t, createProject(api, id), 'PROJECT_LIMIT');
});

test('choosing the present plan changes nothing', async (t) => {
  const { api, organization } = await t.context.silo.signUp();
  const before = await subscriptionOf(api, organization.id);
  const { subscription } = await changePlan(api, organization.id, PLAN_FREE);
  t.deepEqual(subscription, before);
});

test('an organization without a project has the count 0', async (t) => {
  const { api, organization, projectId } = await t.context.silo.signUp();
  await api.projects.deleteProject({ projectId, etag: '', requestId: '' });
  t.is((await subscriptionOf(api, organization.id)).projectCount, 0);
});

test('a subscription is not changed if its etag is out of date', async (t) => {
  const { api, organization } = await t.context.silo.signUp();
  const { id } = organization;
  const { etag } = await subscriptionOf(api, id);
  await updateDetails(api, id, etag);
  await refused(t, updateDetails(api, id, etag), 'ETAG_MISMATCH');
  await refused(t, changePlan(api, id, PLAN_SCALE, etag), 'ETAG_MISMATCH');
});

test('members see the plan; only admins see the billing details, and change either', async (t) => {
  const { silo } = t.context;
  const [owner, member] = [await silo.signUp('Owner'), await silo.signUp('Member')];
  const { id } = owner.organization;
  await updateDetails(owner.api, id);
  await join(owner, member, Level.LEVEL_MEMBER);
  const seen = await subscriptionOf(member.api, id);
  t.is(seen.plan, PLAN_FREE);
  t.is(seen.billingDetails, undefined);
  t.deepEqual((await subscriptionOf(owner.api, id)).billingDetails, billingDetails);
  await refused(t, changePlan(member.api, id, PLAN_SCALE), 'ADMIN_REQUIRED');
  await refused(t, updateDetails(member.api, id), 'ADMIN_REQUIRED');
});

test('one change of an organization’s plan runs at a time: another one gets REQUEST_IN_PROGRESS', async (t) => {
  const { api, organization } = await t.context.silo.signUp();
  const { id } = organization;
  await updateDetails(api, id);
  const plans = [PLAN_PAY_AS_YOU_GO, PLAN_SCALE, PLAN_ENTERPRISE, PLAN_PAY_AS_YOU_GO];
  const refusals = [];
  // Concurrent changes nearly always overlap; which of them do is random.
  for (let round = 0; round < 20 && refusals.length === 0; round++) {
    const all = await Promise.allSettled(plans.map((plan) => changePlan(api, id, plan)));
    t.true(all.some(({ status }) => status === 'fulfilled'));
    refusals.push(...all.flatMap((each) => (each.status === 'rejected' ? [each.reason] : [])));
  }
  for (const refusal of refusals) {
    const { details } = await refused(t, Promise.reject(refusal), 'REQUEST_IN_PROGRESS');
    t.true((details.retryDelayMs ?? 0) > 0);
  }
  t.true(refusals.length > 0);
  await changePlan(api, id, PLAN_SCALE);
});

test('however creates race a downgrade, the organization never has more projects than its plan allows', async (t) => {
  const { api, organization } = await t.context.silo.signUp();
  const { id } = organization;
  await choosePlan(api, id);
  for (let round = 0; round < 5; round++) {
    const [down, ...created] = await outcomes([
      changePlan(api, id, PLAN_FREE),
      createProject(api, id),
      createProject(api, id),
    ]);
    const { plan, projectLimit, projectCount } = await subscriptionOf(api, id);
    const names = await projectNames(api, id);
    t.is(projectCount, names.length);
    if (down === 'OK') {
      t.deepEqual([plan, projectLimit, names.length], [PLAN_FREE, 1, 1], created.join());
      await changePlan(api, id, PLAN_PAY_AS_YOU_GO);
    } else {
      t.is(down, 'PLAN_LIMIT_EXCEEDED');
      await emptyBut(api, id, 1);
    }
  }
});

/** Deletes projects until this number is left. */
async function emptyBut(api: PublicApi, organizationId: string, left: number): Promise<void> {
  const page = { pageSize: 0, pageToken: '' };
  const { projects } = await api.projects.listProjects({
    organizationId,
    showDeleted: false,
    ...page,
  });
  for (const { id: projectId } of projects.slice(left)) {
    await api.projects.deleteProject({ projectId, etag: '', requestId: '' });
  }
}
