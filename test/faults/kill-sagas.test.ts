/**
 * The other sagas, each killed (-9) at its most vulnerable point: it completes, or is refused, but
 * never stays half done.
 */
import { randomUUID } from 'node:crypto';
import { Plan } from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import test from 'ava';
import { upgrade } from '../authorization/world.ts';
import { type SignedUp, withoutPropagation } from '../harness/clients.ts';
import { eventually, untilAnswered } from '../harness/eventually.ts';
import { steadyApi } from '../harness/steady.ts';
import { checkInvariants, invariantsHold } from '../invariants.ts';
import type { Held } from './fail-points.ts';
import { type FaultSilo, killDuring, makeWhole, startDead, startFaultSilo } from './fault-silo.ts';

let silo: FaultSilo;
let ada: SignedUp;
test.before(async () => {
  silo = await startFaultSilo();
  ada = await silo.signUp('Ada');
  await upgrade(ada.api, ada.organization.id);
});
test.beforeEach(() => makeWhole(silo));
test.after.always(() => silo?.[Symbol.asyncDispose]());

test.serial(
  'project killed in the conditional changes of ChangePlan and DeleteOrganization, with their callers',
  async (t) => {
    const { organizations, projects } = steadyApi(ada.api);
    const made = await organizations.createOrganization({ name: 'Short', requestId: '' });
    const emptyId = made.organization?.id ?? '';
    await projects.deleteProject({ projectId: made.projectId, etag: '', requestId: '' });
    const change = {
      organizationId: ada.organization.id,
      plan: Plan.PLAN_ENTERPRISE,
      etag: '',
      requestId: randomUUID(),
    };
    const remove = {
      organizationId: emptyId,
      etag: '',
      requestId: randomUUID(),
      endDeletedProjects: true,
    };
    const changePlan = () => ada.api.billing.changePlan(change);
    const deleteOrganization = () => ada.api.organizations.deleteOrganization(remove);
    const { outcome } = await killDuring(
      silo,
      { service: 'project', command: 'update', collection: 'slots', times: 2, outcome: 'lost' },
      () => Promise.allSettled([changePlan(), deleteOrganization()]),
      ['billing', 'org', 'project'],
    );
    const settled = await outcome;
    t.deepEqual(settled.status === 'fulfilled' && settled.value.map(({ status }) => status), [
      'rejected',
      'rejected',
    ]);
    t.deepEqual(await checkInvariants(silo), []);
    await startDead(silo);
    await invariantsHold(t, silo);
    const { subscription } = await eventually(changePlan);
    t.is(subscription?.plan, Plan.PLAN_ENTERPRISE);
    t.deepEqual(await untilAnswered(changePlan), { subscription });
    t.deepEqual(
      withoutPropagation(await untilAnswered(deleteOrganization)),
      withoutPropagation(await untilAnswered(deleteOrganization)),
    );
    await t.throwsAsync(organizations.getOrganization({ organizationId: emptyId }));
  },
);

test.serial('billing killed after project has set the limit: the plan follows', async (t) => {
  const request = {
    organizationId: ada.organization.id,
    plan: Plan.PLAN_SCALE,
    etag: '',
    requestId: randomUUID(),
  };
  const changePlan = () => ada.api.billing.changePlan(request);
  // The transaction of the plan: that of the intent has no event.
  const held: Held = {
    ...{ service: 'billing', command: 'insert', collection: 'outbox', outcome: 'lost' },
  };
  const { outcome } = await killDuring(silo, held, changePlan);
  t.is((await outcome).status, 'rejected');
  t.deepEqual(await checkInvariants(silo), []);
  await startDead(silo);
  await invariantsHold(t, silo);
  const { subscription } = await untilAnswered(changePlan);
  t.is(subscription?.plan, Plan.PLAN_SCALE);
  t.deepEqual(await untilAnswered(changePlan), { subscription });
});

test.serial(
  'project and token killed while the token of a new project is created: it is created once',
  async (t) => {
    const request = {
      organizationId: ada.organization.id,
      name: 'New',
      settings: undefined,
      requestId: randomUUID(),
    };
    const createProject = () => ada.api.projects.createProject(request);
    const held: Held = {
      ...{ service: 'token', command: 'insert', collection: 'project_tokens', outcome: 'lost' },
    };
    const { outcome } = await killDuring(silo, held, createProject, ['project', 'token']);
    t.is((await outcome).status, 'rejected');
    t.deepEqual(await checkInvariants(silo), []);
    await startDead(silo);
    const answer = await eventually(createProject);
    t.deepEqual(await untilAnswered(createProject), answer);
    await invariantsHold(t, silo);
    const { projectToken } = await steadyApi(ada.api).projectTokens.getProjectToken({
      projectId: answer.project?.id ?? '',
    });
    t.is(projectToken?.token, answer.projectToken);
  },
);
