import { randomUUID } from 'node:crypto';
import { status } from '@grpc/grpc-js';
import { SiloError } from '@silo/errors/silo-error.ts';
import { beginCall, connectRaw, framed, outcomeOfRaw } from '@silo/rpc/test/raw-client.ts';
import { newApiKey } from '@silo/tokens/secrets.ts';
import anyTest, { type ExecutionContext } from 'ava';
import { certificate } from '../harness/certificates.ts';
import { openCliHome } from '../harness/cli.ts';
import { outcomes } from '../harness/refusals.ts';
import { startTestSilo, type TestSilo } from '../harness/silo.ts';

// Each test starts four services, so one deployment runs at a time.
const test = anyTest.serial;
const getAccountPath = '/silo.org.v1.AccountService/GetAccount';
/** No window ends while a test runs. */
const longWindow = { rateWindowMs: 3_600_000 };

async function start(t: ExecutionContext, settings: Parameters<typeof startTestSilo>[0]) {
  const silo = await startTestSilo(settings);
  t.teardown(() => silo[Symbol.asyncDispose]());
  return silo;
}

/** 1,600 calls at once, with keys that do not exist; resolves with their gRPC statuses. */
async function callWithUnknownKeys({ addresses }: TestSilo, from: string): Promise<string[]> {
  const { ca } = certificate('staff-operator');
  const target = { address: addresses.org.public, ca, from };
  const sessions = await Promise.all(Array.from({ length: 16 }, () => connectRaw(target)));
  const calls = sessions.flatMap((session) =>
    Array.from({ length: 100 }, () => {
      const call = beginCall(session, getAccountPath, { authorization: `Bearer ${newApiKey()}` });
      const outcome = outcomeOfRaw(call);
      call.end(framed(Buffer.alloc(0)));
      return outcome;
    }),
  );
  const ended = await Promise.all(calls);
  for (const session of sessions) session.destroy();
  return ended.map(({ status: code = 'none' }) => code);
}

for (const [where, from] of [
  ['another address', '127.0.0.2'],
  ['the same address', '127.0.0.1'],
] as const) {
  test(`1,600 unknown keys at once from ${where} do not make a call with a live key fail`, async (t) => {
    const silo = await start(t, { ...longWindow, rateAddressPoints: 3_000 });
    const { api } = await silo.signUp('Ada');
    let isOver = false;
    const attack = callWithUnknownKeys(silo, from).finally(() => {
      isOver = true;
    });
    const seen = new Set<string>();
    for (let call = 0; call < 129 || !isOver; call++) {
      const [outcome = ''] = await outcomes([api.accounts.getAccount({})]);
      seen.add(outcome);
    }
    t.deepEqual(seen, new Set(['OK']));
    const answered = new Set(await attack);
    t.true(answered.has(String(status.UNAUTHENTICATED)));
    t.true(answered.has(String(status.RESOURCE_EXHAUSTED)));
  });
}

test('sign-ups from one address are limited, and the refusal says how long to wait', async (t) => {
  const silo = await start(t, { rateSignupsPerHour: 2 });
  await silo.signUp('Ada');
  await silo.signUp('Grace');
  const error = await t.throwsAsync(silo.signUp('Joan'), { instanceOf: SiloError });
  t.like(error, { code: status.RESOURCE_EXHAUSTED, metadata: { limit: 'sign_ups' } });
  const { retryDelayMs = 0 } = error?.details ?? {};
  t.true(retryDelayMs > 0 && retryDelayMs <= 3_600_000);
});

test('an organization has its own limit, which outsiders cannot use up', async (t) => {
  const silo = await start(t, { ...longWindow, rateOrganizationCalls: 20 });
  const [ada, grace] = [await silo.signUp('Ada'), await silo.signUp('Grace')];
  const organizationId = ada.organization.id;
  const get = ({ api }: typeof ada) => api.organizations.getOrganization({ organizationId });
  const ofOutsider = await outcomes(Array.from({ length: 40 }, () => get(grace)));
  t.deepEqual(new Set(ofOutsider), new Set(['ORGANIZATION_NOT_FOUND']));
  t.deepEqual(await outcomes([get(ada)]), ['OK']);
  const ofMember = await outcomes(Array.from({ length: 40 }, () => get(ada)));
  t.deepEqual(new Set(ofMember), new Set(['OK', 'RATE_LIMITED']));
  // Calls that do not concern the organization still succeed.
  t.deepEqual(await outcomes([ada.api.accounts.getAccount({})]), ['OK']);
});

test('the command waits for the next window, and then succeeds', async (t) => {
  const silo = await start(t, { rateWindowMs: 1_000, rateAccountCalls: 1 });
  const { apiKey, account } = await silo.signUp('Ada');
  await using home = await openCliHome(silo.addresses);
  await home.json(['login', '--dev'], apiKey);
  for (let run = 0; run < 2; run++) {
    t.like(await home.json(['account']), { account: { id: account.id } });
  }
});

test('if the window is longer than the command waits, it says so, and ends with exit code 5', async (t) => {
  const silo = await start(t, { ...longWindow, rateSignupsPerHour: 1 });
  await silo.signUp('Ada');
  await using home = await openCliHome(silo.addresses);
  const email = `${randomUUID()}@example.com`;
  const words = ['signup', '--dev', '--email', email, '--name', 'A', '--organization', 'A'];
  const { code, errors } = await home.run(words);
  t.is(code, 5, errors);
  t.regex(errors, /sign-ups from your address/);
  t.regex(errors, /wait \d+ s, then run it again/);
  t.regex(errors, /RATE_LIMITED/);
});
