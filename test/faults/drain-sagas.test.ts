/** SIGTERM in the middle of every saga: the call was admitted, so its caller gets the answer. */
import { randomUUID } from 'node:crypto';
import { status } from '@grpc/grpc-js';
import { reasonOf } from '@silo/errors/from-status.ts';
import { Plan } from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import { type ServiceName, serviceNames } from '@silo/service/config.ts';
import test from 'ava';
import { upgrade } from '../authorization/world.ts';
import type { SignedUp } from '../harness/clients.ts';
import { eventually } from '../harness/eventually.ts';
import { steadyApi } from '../harness/steady.ts';
import { checkInvariants } from '../invariants.ts';
import { hangWrite, type Write } from './fail-points.ts';
import { type FaultSilo, makeWhole, startFaultSilo } from './fault-silo.ts';

let silo: FaultSilo;
let ada: SignedUp;
/** Used to prepare a saga; its calls are not tested. */
let preparing: SignedUp['api'];
test.before(async () => {
  silo = await startFaultSilo();
  ada = await silo.signUp('Ada');
  await upgrade(ada.api, ada.organization.id);
  preparing = steadyApi(ada.api);
});
test.beforeEach(async () => {
  await makeWhole(silo);
  // The test's own connections are restored, too.
  for (const name of serviceNames) {
    await eventually(async () => {
      if (await refuses(name)) throw new Error(`${name} is not reached`);
    });
  }
});
test.after.always(() => silo?.[Symbol.asyncDispose]());

/** A saga, and its preparation. Returns the call. */
type Saga = { name: string; prepare: () => Promise<() => Promise<unknown>> };

const createAccount: Saga = {
  name: 'CreateAccount',
  prepare: async () => {
    const email = `${randomUUID()}@example.com`;
    const request = { email, displayName: 'Bob', organizationName: 'Bob’s' };
    return () => silo.as().accounts.createAccount({ ...request, requestId: randomUUID() });
  },
};

const createOrganization: Saga = {
  name: 'CreateOrganization',
  prepare: async () => () => newOrganization(ada.api),
};

const deleteOrganization: Saga = {
  name: 'DeleteOrganization',
  prepare: async () => {
    const { organization, projectId } = await newOrganization(preparing);
    await preparing.projects.deleteProject({ projectId, etag: '', requestId: '' });
    const organizationId = organization?.id ?? '';
    const request = { organizationId, etag: '', endDeletedProjects: true, requestId: '' };
    return () => ada.api.organizations.deleteOrganization(request);
  },
};

const createProject: Saga = {
  name: 'CreateProject',
  prepare: async () => {
    const request = { name: 'New', settings: undefined, requestId: '' };
    return () =>
      ada.api.projects.createProject({ organizationId: ada.organization.id, ...request });
  },
};

const createRecommendedProjects: Saga = {
  name: 'CreateRecommendedProjects',
  prepare: async () => {
    const { organization } = await newOrganization(preparing);
    const organizationId = organization?.id ?? '';
    await upgrade(ada.api, organizationId);
    return () => ada.api.projects.createRecommendedProjects({ organizationId, requestId: '' });
  },
};

const changePlan: Saga = {
  name: 'ChangePlan',
  prepare: async () => {
    const organizationId = ada.organization.id;
    const { subscription } = await preparing.billing.getSubscription({ organizationId });
    const isScale = subscription?.plan === Plan.PLAN_SCALE;
    const plan = isScale ? Plan.PLAN_ENTERPRISE : Plan.PLAN_SCALE;
    return () => ada.api.billing.changePlan({ organizationId, plan, etag: '', requestId: '' });
  },
};

function newOrganization(api: SignedUp['api']) {
  return api.organizations.createOrganization({ name: 'Other', requestId: '' });
}

/**
 * The write at which it hangs, and the process that gets SIGTERM: that of the saga, or that of its
 * step.
 */
type Step = { write: Write; stopped: readonly ServiceName[] };

function step(
  service: ServiceName,
  kind: Write['kind'],
  collection: string,
  ...stopped: ServiceName[]
): Step {
  return { write: { service, kind, collection }, stopped };
}

// A peer whose step comes later is not stopped.
const subscribing = step('billing', 'insert', 'subscriptions', 'org', 'billing');
const openingSlots = step('project', 'update', 'slots', 'org', 'project');
const beginning = (service: ServiceName) => step(service, 'update', 'sagas', service);
/** The first transition that is recorded. */
const advancing = (service: ServiceName): Step => ({
  write: { service, kind: 'update', collection: 'sagas', skip: 1 },
  stopped: [service],
});
const makingToken = (...stopped: ServiceName[]) =>
  step('token', 'insert', 'project_tokens', ...stopped);

const sagas: [Saga, Step[]][] = [
  [
    createAccount,
    [
      step('org', 'insert', 'accounts', 'org'),
      advancing('org'),
      subscribing,
      openingSlots,
      makingToken('org'),
      step('token', 'insert', 'api_keys', 'org', 'token'),
    ],
  ],
  [
    createOrganization,
    [
      step('org', 'insert', 'organizations', 'org'),
      subscribing,
      openingSlots,
      makingToken('org', 'token'),
    ],
  ],
  [
    deleteOrganization,
    [
      beginning('org'),
      step('project', 'update', 'slots', 'org', 'project'),
      // The deciding transaction: that of the intent has no event.
      step('org', 'insert', 'outbox', 'org'),
      step('billing', 'update', 'subscriptions', 'org', 'billing'),
    ],
  ],
  [
    createProject,
    [
      step('project', 'insert', 'projects', 'project'),
      makingToken('project', 'token'),
      advancing('project'),
    ],
  ],
  [
    createRecommendedProjects,
    [step('project', 'insert', 'projects', 'project'), makingToken('project', 'token')],
  ],
  [
    changePlan,
    [
      beginning('billing'),
      step('project', 'update', 'slots', 'billing', 'project'),
      // The transaction of the plan: that of the intent has no event.
      step('billing', 'insert', 'outbox', 'billing'),
    ],
  ],
];

/** Whether a service refuses a public call as unavailable, because it drains or is stopped. */
async function refuses(service: ServiceName): Promise<boolean> {
  const nobody = silo.as();
  const calls: Record<ServiceName, () => Promise<unknown>> = {
    org: () => nobody.accounts.getAccount({}),
    project: () => nobody.projects.getProject({ projectId: '' }),
    token: () => nobody.projectTokens.getProjectToken({ projectId: '' }),
    billing: () => nobody.billing.listPlans({}),
  };
  const error: unknown = await calls[service]().catch((refused) => refused);
  // The refusal of a service that runs, and only waits for another one.
  if (reasonOf(error) === 'DEPENDENCY_UNAVAILABLE') return false;
  return error instanceof Error && 'code' in error && error.code === status.UNAVAILABLE;
}

async function untilDraining(service: ServiceName): Promise<void> {
  await eventually(async () => {
    if (!(await refuses(service))) throw new Error(`${service} still serves`);
  });
}

for (const [{ name, prepare }, steps] of sagas) {
  for (const { stopped, write } of steps) {
    const { service, kind, collection, skip = 0 } = write;
    const which = skip === 0 ? kind : `${kind} ${skip + 1}`;
    test.serial(
      `SIGTERM to ${stopped.join(' and ')} in ${name} at ${which} of ${service}.${collection}: OK`,
      async (t) => {
        const call = await prepare();
        const hung = await hangWrite(silo.mongo, write);
        const answer = call();
        answer.catch(() => {}); // until it is awaited
        await hung.entered();
        const processes = stopped.map((each) => silo.services[each][0]);
        for (const each of processes) each.kill('SIGTERM');
        await Promise.all(stopped.map(untilDraining));
        await hung.release();
        await t.notThrowsAsync(answer);
        const exits = await Promise.all(processes.map(({ exited }) => exited));
        t.deepEqual(
          exits.map(({ code }) => code),
          stopped.map(() => 0),
        );
      },
    );
  }
}

test.serial('the changes made while services stopped are complete', async (t) => {
  t.deepEqual(await checkInvariants(silo), []);
});
