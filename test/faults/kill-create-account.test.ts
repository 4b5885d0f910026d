/**
 * Each service killed (-9) in the middle of CreateAccount: the account exists completely, or not at
 * all.
 */
import { randomUUID } from 'node:crypto';
import type { CreateAccountResponse } from '@silo/protos/gen/silo/org/v1/account_service.ts';
import { type ServiceName, serviceNames } from '@silo/service/config.ts';
import test, { type ExecutionContext } from 'ava';
import { eventually, untilAnswered } from '../harness/eventually.ts';
import { steadyApi } from '../harness/steady.ts';
import { checkInvariants, invariantsHold } from '../invariants.ts';
import type { Held } from './fail-points.ts';
import {
  type FaultSilo,
  killDuring,
  makeWhole,
  pause,
  resume,
  startDead,
  startFaultSilo,
} from './fault-silo.ts';

let silo: FaultSilo;
test.before(async () => {
  silo = await startFaultSilo();
});
test.beforeEach(() => makeWhole(silo));
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

/** Everything in the answer works, and a further repeat gets the same answer. */
async function wholly(t: ExecutionContext, { create }: Attempt): Promise<CreateAccountResponse> {
  const answer = await eventually(create);
  t.deepEqual(await untilAnswered(create), answer);
  const { account, organization, projectId, projectToken, apiKey } = answer;
  const api = steadyApi(silo.as(apiKey));
  t.is((await api.accounts.getAccount({})).account?.id, account?.id);
  const { project } = await api.projects.getProject({ projectId });
  t.is(project?.organizationId, organization?.id);
  const { access } = silo.internal().token;
  const verified = await untilAnswered(() => access.verifyToken({ token: projectToken }));
  t.is(verified.answer?.$case, 'facts');
  return answer;
}

async function accountsOf({ email }: Attempt): Promise<number> {
  return await silo.mongo.db('silo_org').collection('accounts').countDocuments({ email });
}

/** The deciding transaction of CreateAccount, at its commit. */
const deciding = { service: 'org', command: 'commitTransaction', collection: 'accounts' } as const;

test.serial(
  'org killed before its decision is committed: nothing exists until the repeat',
  async (t) => {
    const attempted = attempt();
    const { outcome } = await killDuring(silo, { ...deciding, outcome: 'lost' }, attempted.create);
    t.is((await outcome).status, 'rejected');
    t.is(await accountsOf(attempted), 0);
    t.deepEqual(await checkInvariants(silo), []);
    await startDead(silo);
    await wholly(t, attempted);
    t.is(await accountsOf(attempted), 1);
    await invariantsHold(t, silo);
  },
);

test.serial(
  'org killed with accounts at every step: its next process finishes all of them',
  async (t) => {
    const stopped: (Attempt & { waitsFor: ServiceName; state: string })[] = [
      { waitsFor: 'token', state: 'opened', ...attempt() },
      { waitsFor: 'project', state: 'subscribed', ...attempt() },
      { waitsFor: 'billing', state: 'decided', ...attempt() },
    ];
    const calls: Promise<PromiseSettledResult<unknown>[]>[] = [];
    for (const { waitsFor, state, email, create } of stopped) {
      pause(silo, waitsFor);
      calls.push(Promise.allSettled([create()]));
      await eventually(async () => {
        const sagas = silo.mongo.db('silo_org').collection('sagas');
        const saga = await sagas.findOne({ 'data.email': email });
        if (saga?.state !== state) throw new Error(`the saga is ${saga?.state}`);
      });
    }
    // Another account, whose decision is committed when no caller waits for it any more.
    const decided = attempt();
    const { outcome } = await killDuring(silo, { ...deciding, outcome: 'done' }, decided.create);
    const outcomes = [await outcome, ...(await Promise.all(calls)).flat()];
    t.deepEqual(
      outcomes.map(({ status }) => status),
      Array(4).fill('rejected'),
    );
    for (const { waitsFor } of stopped) resume(silo, waitsFor);
    await eventually(async () => {
      if ((await accountsOf(decided)) !== 1) throw new Error('the commit has no effect yet');
    });
    await startDead(silo);
    // Without a repeat of any request.
    await invariantsHold(t, silo);
    for (const each of [...stopped, decided]) {
      await wholly(t, each);
      t.is(await accountsOf(each), 1);
    }
    t.deepEqual(await checkInvariants(silo), []);
  },
);

type Step = Held & { step: string };
const lost = { command: 'insert', outcome: 'lost' } as const;
const done = { command: 'commitTransaction', outcome: 'done' } as const;

// The same service never twice in a row: what it left is sequenced only after its lease has ended.
const steps: Step[] = [
  { step: 'the subscription', service: 'billing', ...lost, collection: 'subscriptions' },
  { step: 'the token', service: 'token', ...lost, collection: 'project_tokens' },
  { step: 'the slots', service: 'project', ...done, collection: 'projects' },
  { step: 'the token', service: 'token', ...done, collection: 'project_tokens' },
];

for (const { step, ...held } of steps) {
  const { service, command } = held;
  test.serial(
    `${service} killed at ${step}, ${command} ${held.outcome}: the account is created`,
    async (t) => {
      const attempted = attempt();
      const { outcome } = await killDuring(silo, held, attempted.create);
      t.deepEqual(await checkInvariants(silo), []);
      await startDead(silo);
      const answer = await wholly(t, attempted);
      const settled = await outcome;
      if (settled.status === 'fulfilled') t.deepEqual(settled.value, answer);
      t.is(await accountsOf(attempted), 1);
      t.deepEqual(await checkInvariants(silo), []);
    },
  );
}

test.serial(
  'all four services killed at once, in the middle: the account is created',
  async (t) => {
    const attempted = attempt();
    const held: Held = { service: 'project', ...lost, collection: 'projects' };
    const { outcome } = await killDuring(silo, held, attempted.create, serviceNames);
    t.is((await outcome).status, 'rejected');
    t.deepEqual(await checkInvariants(silo), []);
    await startDead(silo);
    await invariantsHold(t, silo);
    await wholly(t, attempted);
  },
);
