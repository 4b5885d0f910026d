/** Each service killed (-9) in the middle of CreateAccount: wholly there, or wholly not. */
import { randomUUID } from 'node:crypto';
import type { CreateAccountResponse } from '@silo/protos/gen/silo/org/v1/account_service.ts';
import type { ServiceName } from '@silo/service/config.ts';
import test, { type ExecutionContext } from 'ava';
import { eventually } from '../harness/eventually.ts';
import { checkInvariants, invariantsHold } from '../invariants.ts';
import {
  type FaultSilo,
  goOn,
  type Held,
  killDuring,
  killService,
  pause,
  startFaultSilo,
  untilQuiet,
} from './fault-silo.ts';

let silo: FaultSilo;
test.before(async () => {
  silo = await startFaultSilo();
});
test.afterEach.always(() => silo.failPoints.clear());
test.after.always(() => silo?.[Symbol.asyncDispose]());

type Attempt = { email: string; create: () => Promise<CreateAccountResponse> };

/** A request to sign up, which every call of `create` repeats. */
function attempt(): Attempt {
  const email = `${randomUUID()}@example.com`;
  const request = {
    ...{ email, displayName: 'Ada', organizationName: 'Ada’s', requestId: randomUUID() },
  };
  return { email, create: () => silo.as().accounts.createAccount(request) };
}

/** Everything of the answer works, and a further repeat gets the same. */
async function wholly(t: ExecutionContext, { create }: Attempt): Promise<CreateAccountResponse> {
  const answer = await eventually(create, 30_000);
  t.deepEqual(await create(), answer);
  const { account, organization, projectId, projectToken, apiKey } = answer;
  const api = silo.as(apiKey);
  t.is((await api.accounts.getAccount({})).account?.id, account?.id);
  const { project } = await api.projects.getProject({ projectId });
  t.is(project?.organizationId, organization?.id);
  const verified = await silo.internal().token.access.verifyToken({ token: projectToken });
  t.is(verified.answer?.$case, 'facts');
  return answer;
}

async function accountsOf({ email }: Attempt): Promise<number> {
  return await silo.mongo.db('silo_org').collection('accounts').countDocuments({ email });
}

test.serial(
  'org killed before its decision is decided: nothing is there until the repeat',
  async (t) => {
    const attempted = attempt();
    const held: Held = { service: 'org', command: 'commitTransaction', outcome: 'lost' };
    const { status } = await killDuring(silo, held, attempted.create);
    t.is(status, 'rejected');
    t.is(await accountsOf(attempted), 0);
    t.deepEqual(await checkInvariants(silo), []);
    await silo.silo.services.org.start();
    await wholly(t, attempted);
    t.is(await accountsOf(attempted), 1);
    await invariantsHold(t, silo);
  },
);

test.serial(
  'org killed with accounts at every step: the one that starts finishes all of them',
  async (t) => {
    const stopped: (Attempt & { waitsFor: ServiceName; state: string })[] = [
      { waitsFor: 'token', state: 'opened', ...attempt() },
      { waitsFor: 'project', state: 'subscribed', ...attempt() },
      { waitsFor: 'billing', state: 'decided', ...attempt() },
    ];
    const calls: Promise<unknown>[] = [];
    for (const { waitsFor, state, email, create } of stopped) {
      pause(silo, waitsFor);
      calls.push(create());
      await eventually(async () => {
        const sagas = silo.mongo.db('silo_org').collection('sagas');
        const saga = await sagas.findOne({ 'data.email': email });
        if (saga?.state !== state) throw new Error(`the saga is ${saga?.state}`);
      });
    }
    await untilQuiet(silo, 'org');
    // One more, whose decision is done when nobody waits for it any more.
    const deciding = attempt();
    const held: Held = { service: 'org', command: 'commitTransaction', outcome: 'done' };
    const { status } = await killDuring(silo, held, deciding.create);
    const outcomes = await Promise.allSettled(calls);
    t.deepEqual([status, ...outcomes.map((each) => each.status)], Array(4).fill('rejected'));
    for (const { waitsFor } of stopped) goOn(silo, waitsFor);
    await eventually(async () => {
      if ((await accountsOf(deciding)) !== 1) throw new Error('the commit has no effect yet');
    });
    await silo.silo.services.org.start();
    // With nobody’s help: before anyone repeats anything.
    await invariantsHold(t, silo);
    for (const each of [...stopped, deciding]) {
      await wholly(t, each);
      t.is(await accountsOf(each), 1);
    }
    t.deepEqual(await checkInvariants(silo), []);
  },
);

type Step = Held & { step: string };
const atCommit = { command: 'commitTransaction' };
const lost = { command: 'insert', outcome: 'lost' } as const;

// No service twice in a row: what it left behind is numbered only when its lease is over.
const steps: Step[] = [
  { step: 'the subscription', service: 'billing', ...lost, collection: 'subscriptions' },
  { step: 'the token', service: 'token', ...lost, collection: 'project_tokens' },
  { step: 'the slots', service: 'project', ...atCommit, outcome: 'done' },
  { step: 'the token', service: 'token', ...atCommit, outcome: 'done' },
];

for (const { step, ...held } of steps) {
  const { service, command, outcome } = held;
  test.serial(
    `${service} killed at ${step}, ${command} ${outcome}: the account is made`,
    async (t) => {
      const attempted = attempt();
      await untilQuiet(silo, service);
      const first = killDuring(silo, held, attempted.create);
      await eventually(async () => {
        if (silo.silo.services[service].pid !== undefined) throw new Error(`${service} runs`);
      });
      t.deepEqual(await checkInvariants(silo), []);
      await silo.silo.services[service].start();
      const answer = await wholly(t, attempted);
      const settled = await first;
      if (settled.status === 'fulfilled') t.deepEqual(settled.value, answer);
      t.is(await accountsOf(attempted), 1);
      t.deepEqual(await checkInvariants(silo), []);
    },
  );
}

test.serial('all four killed at once, in the middle: the account is made', async (t) => {
  const attempted = attempt();
  const held: Held = {
    service: 'project',
    command: 'insert',
    collection: 'projects',
    outcome: 'lost',
  };
  const { entered } = await silo.failPoints.hold(held);
  const first = Promise.allSettled([attempted.create()]);
  await entered();
  const names = ['org', 'project', 'token', 'billing'] as const;
  await Promise.all(names.map((name) => killService(silo, name)));
  t.is((await first)[0].status, 'rejected');
  t.deepEqual(await checkInvariants(silo), []);
  await Promise.all(names.map((name) => silo.silo.services[name].start()));
  await invariantsHold(t, silo);
  await wholly(t, attempted);
});
