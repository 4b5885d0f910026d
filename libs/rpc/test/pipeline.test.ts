import { status } from '@grpc/grpc-js';
import { errors } from '@silo/errors/errors.ts';
import { fromStatus } from '@silo/errors/from-status.ts';
import { AccountServiceClient } from '@silo/protos/gen/silo/org/v1/account_service.ts';
import { ActivityServiceClient } from '@silo/protos/gen/silo/org/v1/activity_service.ts';
import { newApiKey, newProjectToken } from '@silo/tokens/secrets.ts';
import test, { type ExecutionContext } from 'ava';
import type { ServerOptions } from '../server.ts';
import {
  accountId,
  accountService,
  activityService,
  channelTo,
  connect,
  createAccountRequest,
  createAccountResponse,
  fullKey,
  keptLog,
  makeAuthority,
  narrowKey,
  organizationId,
  outcomeOf,
  ruledAccess,
  serve,
} from './support.ts';

const listRequest = { organizationId, projectId: '', pageSize: 0, pageToken: '' };
const badShape = { ...listRequest, pageSize: -1 };
const bearer = (key: string) => ({ metadata: { authorization: `Bearer ${key}` } });

async function start(t: ExecutionContext, options: Partial<ServerOptions> = {}) {
  const issue = await makeAuthority(t);
  const tls = await issue('service', 'org');
  const services = [accountService(), activityService()];
  const server = await serve(t, { tls, internal: false, services, ...options });
  const channel = channelTo(t, server, { ca: tls.ca });
  const accounts = connect(AccountServiceClient, channel, { refusals: true });
  const activity = connect(ActivityServiceClient, channel, { refusals: true });
  return { accounts, activity, server };
}

test('a call without a valid key is rejected before its shape is checked', async (t) => {
  const { activity } = await start(t);
  const dead = newApiKey();
  t.is(await outcomeOf(activity.listActivity(badShape)), 'TOKEN_INVALID');
  t.is(await outcomeOf(activity.listActivity(badShape, bearer(dead))), 'TOKEN_INVALID');
  t.is(await outcomeOf(activity.listActivity(listRequest, bearer(dead))), 'TOKEN_INVALID');
});

test('a malformed key is rejected without a look-up', async (t) => {
  const access = ruledAccess();
  const { activity } = await start(t, { access });
  const broken = fullKey.slice(0, -1) + (fullKey.endsWith('0') ? '1' : '0');
  const values = ['', 'Bearer', `Basic ${fullKey}`, fullKey, `Bearer ${broken}`];
  for (const authorization of [...values, `Bearer ${newProjectToken()}`]) {
    const call = activity.listActivity(listRequest, { metadata: { authorization } });
    t.is(await outcomeOf(call), 'TOKEN_INVALID', authorization.slice(0, 12));
  }
  t.deepEqual(access.questions, []);
});

test('for a valid key the shape is checked before access', async (t) => {
  const { activity } = await start(t);
  t.is(await outcomeOf(activity.listActivity(badShape, bearer(narrowKey))), 'INVALID_FIELD');
  t.is(await outcomeOf(activity.listActivity(listRequest, bearer(narrowKey))), 'SCOPE_REQUIRED');
});

test('violations are reported by the field paths of the proto', async (t) => {
  const { activity, accounts } = await start(t);
  const refusal = fromStatus(await t.throwsAsync(activity.listActivity(badShape, bearer(fullKey))));
  t.deepEqual(
    refusal?.details.badRequest?.map(({ field }) => field),
    ['page_size'],
  );
  const nested = {
    requestId: '',
    updateMask: undefined,
    account: { ...account, etag: 'e'.repeat(65) },
  };
  const other = fromStatus(await t.throwsAsync(accounts.updateAccount(nested, bearer(fullKey))));
  t.deepEqual(
    other?.details.badRequest?.map(({ field }) => field),
    ['account.etag'],
  );
});

const account = createAccountResponse.account;

test('the access check has the scope, level and target of the method option', async (t) => {
  const access = ruledAccess();
  const { activity } = await start(t, { access });
  await activity.listActivity(listRequest, bearer(fullKey));
  t.like(access.questions[0], { scope: 'activity:read', organizationId, level: 1 });
  t.is(access.questions[0]?.projectId, undefined);
});

test('a request without a target is INVALID_FIELD, and access is not checked', async (t) => {
  const { activity } = await start(t);
  const request = { ...listRequest, organizationId: '' };
  t.is(await outcomeOf(activity.listActivity(request, bearer(fullKey))), 'INVALID_FIELD');
});

test('a hidden resource is rejected as absent', async (t) => {
  const { activity } = await start(t);
  const request = { ...listRequest, organizationId: `org_us_${'1'.repeat(26)}` };
  t.is(await outcomeOf(activity.listActivity(request, bearer(fullKey))), 'ORGANIZATION_NOT_FOUND');
});

test('the handler gets the caller and the facts of the decision', async (t) => {
  const { accounts } = await start(t, {
    services: [
      accountService({
        getAccount: async (_, call) => {
          const { caller } = call;
          const keyId = caller.kind === 'key' ? caller.key.keyId : '';
          return { account: { ...account, id: call.actor, displayName: keyId } };
        },
      }),
    ],
  });
  const { account: seen } = await accounts.getAccount({}, bearer(fullKey));
  t.like(seen, { id: accountId, displayName: `key_${'0'.repeat(26)}` });
});

test('a method for anyone requires no credentials, but a valid shape', async (t) => {
  const { accounts } = await start(t);
  t.is(await outcomeOf(accounts.createAccount(createAccountRequest)), 'OK');
  const request = { ...createAccountRequest, email: 'nobody' };
  t.is(await outcomeOf(accounts.createAccount(request)), 'INVALID_FIELD');
});

test('a copied call keeps id, signal and actor', async (t) => {
  const { accounts } = await start(t, {
    services: [
      accountService({
        getAccount: async (_, call) => {
          const copy = { ...call, actor: 'staff/ops' };
          t.is(copy.id, call.id);
          t.is(copy.signal, call.signal);
          return { account: { ...account, displayName: copy.actor } };
        },
      }),
    ],
  });
  const { account: seen } = await accounts.getAccount({}, bearer(fullKey));
  t.is(seen?.displayName, 'staff/ops');
});

test('a bug is INTERNAL with the id of its log line, and reveals nothing else', async (t) => {
  const { log, lines } = keptLog();
  const services = [
    accountService({ getAccount: () => Promise.reject(new Error('the pool is on fire')) }),
  ];
  const { accounts } = await start(t, { services, log });
  const error = await t.throwsAsync(accounts.getAccount({}, bearer(fullKey)));
  const refusal = fromStatus(error);
  t.is(refusal?.code, status.INTERNAL);
  t.false(JSON.stringify(refusal).includes('fire'));
  const line = lines.find((one) => one.includes(refusal?.details.requestInfo ?? 'no id'));
  t.regex(line ?? '', /the pool is on fire/);
});

test('a response that does not encode is INTERNAL', async (t) => {
  const broken = { account: { ...account, createTime: new Date(Number.NaN) } };
  const { accounts } = await start(t, {
    services: [accountService({ getAccount: async () => broken })],
  });
  t.is(await outcomeOf(accounts.getAccount({}, bearer(fullKey))), 'INTERNAL');
});

test("the caller gets the handler's error unchanged; a failed access check is DEPENDENCY_UNAVAILABLE", async (t) => {
  const services = [accountService({ getAccount: () => Promise.reject(errors.lastOwner()) })];
  const { accounts } = await start(t, { services });
  t.is(await outcomeOf(accounts.getAccount({}, bearer(fullKey))), 'LAST_OWNER');
  const access = {
    ...ruledAccess(),
    authorize: () => Promise.reject(errors.dependencyUnavailable('org')),
  };
  const other = await start(t, { access });
  t.is(await outcomeOf(other.accounts.getAccount({}, bearer(fullKey))), 'DEPENDENCY_UNAVAILABLE');
});

test('one line is logged per call, without key and request id', async (t) => {
  const { log, lines } = keptLog();
  const { accounts, activity } = await start(t, { log });
  await accounts.createAccount(createAccountRequest);
  await accounts.getAccount({}, bearer(fullKey));
  await outcomeOf(activity.listActivity(badShape, bearer(fullKey)));
  await outcomeOf(accounts.createAccount({ ...createAccountRequest, email: 'nobody' }));
  const calls = lines.map((line) => JSON.parse(line));
  t.deepEqual(
    calls.map(({ status, reason, actor }) => [status, reason, actor]),
    [
      ['OK', undefined, 'anyone'],
      ['OK', undefined, accountId],
      ['INVALID_ARGUMENT', 'INVALID_FIELD', accountId],
      ['INVALID_ARGUMENT', 'INVALID_FIELD', 'anyone'],
    ],
  );
  t.is(new Set(calls.map(({ callId }) => callId)).size, 4);
  const text = lines.join('');
  for (const secret of [fullKey, fullKey.slice(4), createAccountRequest.requestId]) {
    t.false(text.includes(secret));
  }
});

test('a call is logged under the trace of its caller', async (t) => {
  const { log, lines } = keptLog();
  const { accounts } = await start(t, { log });
  const traceId = '0af7651916cd43dd8448eb211c80319c';
  const metadata = { traceparent: `00-${traceId}-b7ad6b7169203331-01` };
  await accounts.createAccount(createAccountRequest, { metadata });
  await accounts.createAccount(createAccountRequest, { metadata: { traceparent: 'nonsense' } });
  t.deepEqual(
    lines.map((line) => JSON.parse(line).traceId),
    [traceId, undefined],
  );
});
