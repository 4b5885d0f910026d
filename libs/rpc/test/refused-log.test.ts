import { Metadata } from '@grpc/grpc-js';
import { StaffServiceClient } from '@silo/protos/gen/silo/org/internal/v1/staff_service.ts';
import { AccountServiceClient } from '@silo/protos/gen/silo/org/v1/account_service.ts';
import { createLineSampling } from '@silo/runtime/line-sampling.ts';
import { fakeClock } from '@silo/runtime/test/fake-clock.ts';
import { fingerprintOf, newApiKey } from '@silo/tokens/secrets.ts';
import test, { type ExecutionContext } from 'ava';
import { eventually } from '../../../test/harness/eventually.ts';
import { ActiveCall } from '../active-call.ts';
import { createCallReport } from '../call-report.ts';
import {
  accountId,
  accountService,
  channelTo,
  connect,
  createAccountRequest,
  fullKey,
  keptLog,
  makeAuthority,
  narrowKey,
  outcomeOf,
  serve,
  staffService,
} from './support.ts';

const updateRequest = { account: undefined, updateMask: [], etag: '', requestId: '' };

async function startPublic(t: ExecutionContext) {
  const tls = await (await makeAuthority(t))('service', 'org');
  const { log, lines } = keptLog();
  const server = await serve(t, { tls, log, internal: false, services: [accountService()] });
  const channel = channelTo(t, server, tls);
  const accounts = connect(AccountServiceClient, channel, {
    refusals: true,
    deadlineMs: 45_000,
  });
  const logged = () => lines.map((line) => JSON.parse(line));
  return { accounts, lines, logged };
}

const bearer = (key: string) => ({ metadata: { authorization: `Bearer ${key}` } });

test('the log line of a rejected call has account, key, address, method and reason', async (t) => {
  const { accounts, logged, lines } = await startPublic(t);
  const unknownKey = newApiKey();
  await outcomeOf(accounts.getAccount({}, bearer(unknownKey)));
  await outcomeOf(accounts.getAccount({}, bearer('no key at all')));
  await outcomeOf(accounts.updateAccount(updateRequest, bearer(narrowKey)));
  await outcomeOf(accounts.updateAccount(updateRequest, bearer(fullKey)));
  await accounts.createAccount(createAccountRequest);
  const service = '/silo.org.v1.AccountService';
  t.deepEqual(
    logged().map(({ method, reason, actor, keyFingerprint, address }) => [
      ...[method, reason, actor, keyFingerprint],
      // The loopback address, over IPv4 or IPv6.
      address === undefined ? undefined : /^(::1|(::ffff:)?127\.0\.0\.1)$/.test(address),
    ]),
    [
      [`${service}/GetAccount`, 'TOKEN_INVALID', 'anyone', fingerprintOf(unknownKey), true],
      [`${service}/GetAccount`, 'TOKEN_INVALID', 'anyone', undefined, true],
      [`${service}/UpdateAccount`, 'INVALID_FIELD', accountId, fingerprintOf(narrowKey), true],
      [`${service}/UpdateAccount`, 'INVALID_FIELD', accountId, fingerprintOf(fullKey), true],
      [`${service}/CreateAccount`, undefined, 'anyone', undefined, undefined],
    ],
  );
  const text = lines.join('');
  for (const key of [unknownKey, fullKey, narrowKey]) t.false(text.includes(key.slice(4)));
});

test('the log line of a rejected call on the internal port has the identity of the certificate', async (t) => {
  const issue = await makeAuthority(t);
  const { log, lines } = keptLog();
  const tls = await issue('service', 'org');
  const server = await serve(t, { tls, log, internal: true, services: [staffService()] });
  const channel = channelTo(t, server, await issue('guard', 'edge'));
  const staff = connect(StaffServiceClient, channel, { refusals: true });
  const request = { accountId, email: 'b@example.com', requestId: '' };
  t.is(await outcomeOf(staff.changeEmail(request)), 'ROLE_REQUIRED');
  t.like(JSON.parse(lines[0] ?? ''), { actor: 'guard/edge', reason: 'ROLE_REQUIRED' });
});

test('a flood of rejected calls is sampled, and the number of missing lines is logged', async (t) => {
  // Repeated if, on a busy machine, the calls took longer than the 10 s for which 100 lines are
  // allowed.
  const { accounts, logged } = await eventually(async () => {
    const fromMs = performance.now();
    const opened = await startPublic(t);
    const flood = Array.from({ length: 150 }, () => outcomeOf(opened.accounts.getAccount({})));
    t.deepEqual(new Set(await Promise.all(flood)), new Set(['TOKEN_INVALID']));
    const tookMs = performance.now() - fromMs;
    if (tookMs >= 10_000) throw new Error(`it took ${tookMs} ms`);
    return opened;
  });
  t.is(logged().length, 100);
  await accounts.getAccount({}, bearer(fullKey));
  t.like(logged().at(-1), { actor: accountId, status: 'OK' });
});

test('a flood of served calls of one caller is sampled, and hides no other caller', (t) => {
  const { log, lines } = keptLog();
  const report = createCallReport(log);
  const serve = (address: string) => {
    const active = new ActiveCall('/silo.test.v1.T/Get', 1_000, new Metadata(), address, log);
    report.answered(active, { isRoutine: false }, undefined);
  };
  for (let call = 1; call <= 150; call++) serve('192.0.2.1');
  t.is(lines.length, 100);
  serve('192.0.2.2');
  t.is(lines.length, 101);
});

test('the flood of one address does not hide rejected calls of another', (t) => {
  const clock = fakeClock();
  const sample = createLineSampling({ linesMax: 1_000, clock });
  const logged = (address: string, calls: number) =>
    Array.from({ length: calls }, () => sample(address)).filter(({ isLogged }) => isLogged).length;
  t.is(logged('192.0.2.1', 5_000), 100);
  t.is(logged('192.0.2.2', 50), 50);
  clock.advance(10_000);
  t.deepEqual(sample('192.0.2.1'), { isLogged: true, unloggedBefore: 4_900 });
  t.deepEqual(sample('192.0.2.1'), { isLogged: true, unloggedBefore: 0 });
});

test('a flood from many addresses is limited in total', (t) => {
  const sample = createLineSampling({ linesMax: 1_000, clock: fakeClock() });
  const all = Array.from({ length: 5_000 }, (_, index) => sample(`192.0.2.${index}`));
  t.is(all.filter(({ isLogged }) => isLogged).length, 1_000);
});
