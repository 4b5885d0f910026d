/** The other sagas, each killed (-9) where it is widest open: forward, or refused, but never half. */
import { randomUUID } from 'node:crypto';
import { Plan } from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import test from 'ava';
import { upgrade } from '../authorization/world.ts';
import type { SignedUp } from '../harness/clients.ts';
import { eventually } from '../harness/eventually.ts';
import { checkInvariants, invariantsHold } from '../invariants.ts';
import {
  type FaultSilo,
  type Held,
  killDuring,
  killService,
  startFaultSilo,
} from './fault-silo.ts';

let silo: FaultSilo;
let ada: SignedUp;
test.before(async () => {
  silo = await startFaultSilo();
  ada = await silo.signUp('Ada');
  await upgrade(ada.api, ada.organization.id);
});
test.afterEach.always(() => silo.failPoints.clear());
test.after.always(() => silo?.[Symbol.asyncDispose]());

test.serial(
  'project killed in the tries of ChangePlan and DeleteOrganization, with those who asked',
  async (t) => {
    const made = await ada.api.organizations.createOrganization({ name: 'Short', requestId: '' });
    const emptyId = made.organization?.id ?? '';
    await ada.api.projects.deleteProject({ projectId: made.projectId, etag: '', requestId: '' });
    const change = {
      organizationId: ada.organization.id,
      plan: Plan.PLAN_ENTERPRISE,
      etag: '',
      requestId: randomUUID(),
    };
    const remove = { organizationId: emptyId, etag: '', requestId: randomUUID() };
    const changePlan = () => ada.api.billing.changePlan(change);
    const deleteOrganization = () => ada.api.organizations.deleteOrganization(remove);
    const { entered } = await silo.failPoints.hold({
      ...{ service: 'project', command: 'update', collection: 'slots', times: 2, outcome: 'lost' },
    });
    const first = Promise.allSettled([changePlan(), deleteOrganization()]);
    await entered();
    const names = ['billing', 'org', 'project'] as const;
    await Promise.all(names.map((name) => killService(silo, name)));
    t.deepEqual(
      (await first).map(({ status }) => status),
      ['rejected', 'rejected'],
    );
    t.deepEqual(await checkInvariants(silo), []);
    const { services } = silo.silo;
    await Promise.all([services.billing.start(), services.org.start(), services.project.start()]);
    await invariantsHold(t, silo);
    const { subscription } = await eventually(changePlan, 30_000);
    t.is(subscription?.plan, Plan.PLAN_ENTERPRISE);
    t.deepEqual(await changePlan(), { subscription });
    t.deepEqual(await deleteOrganization(), await deleteOrganization());
    await t.throwsAsync(ada.api.organizations.getOrganization({ organizationId: emptyId }));
  },
);

test.serial('billing killed when project has set the limit: the plan follows it', async (t) => {
  const request = {
    organizationId: ada.organization.id,
    plan: Plan.PLAN_SCALE,
    etag: '',
    requestId: randomUUID(),
  };
  const changePlan = () => ada.api.billing.changePlan(request);
  // The second: the first one writes the intent.
  const held: Held = {
    service: 'billing',
    command: 'update',
    collection: 'subscriptions',
    after: 1,
    outcome: 'lost',
  };
  const { status } = await killDuring(silo, held, changePlan);
  t.is(status, 'rejected');
  t.deepEqual(await checkInvariants(silo), []);
  await silo.silo.services.billing.start();
  await invariantsHold(t, silo);
  const { subscription } = await changePlan();
  t.is(subscription?.plan, Plan.PLAN_SCALE);
  t.deepEqual(await changePlan(), { subscription });
});

test.serial(
  'project and token killed while the token of a new project is made: it is made once',
  async (t) => {
    const request = {
      organizationId: ada.organization.id,
      name: 'New',
      settings: undefined,
      requestId: randomUUID(),
    };
    const createProject = () => ada.api.projects.createProject(request);
    const { entered } = await silo.failPoints.hold({
      ...{ service: 'token', command: 'insert', collection: 'project_tokens', outcome: 'lost' },
    });
    const first = Promise.allSettled([createProject()]);
    await entered();
    await Promise.all([killService(silo, 'project'), killService(silo, 'token')]);
    t.is((await first)[0].status, 'rejected');
    t.deepEqual(await checkInvariants(silo), []);
    const { services } = silo.silo;
    await Promise.all([services.project.start(), services.token.start()]);
    const answer = await eventually(createProject, 30_000);
    t.deepEqual(await createProject(), answer);
    await invariantsHold(t, silo);
    const { projectToken } = await ada.api.projectTokens.getProjectToken({
      projectId: answer.project?.id ?? '',
    });
    t.is(projectToken?.token, answer.projectToken);
  },
);
