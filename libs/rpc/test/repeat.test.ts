import type { Answer, Question } from '@silo/access/access.ts';
import { lastingPermit } from '@silo/guard/test/lasting-permit.ts';
import type { RequestRecord } from '@silo/mongo/mutation.ts';
import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import {
  AccountServiceClient,
  CreateAccountResponse,
  UpdateAccountResponse,
} from '@silo/protos/gen/silo/org/v1/account_service.ts';
import { sealWith } from '@silo/tokens/seal.ts';
import { hashOf, newApiKey } from '@silo/tokens/secrets.ts';
import test, { type ExecutionContext } from 'ava';
import type { Call } from '../call.ts';
import type { ServerOptions } from '../server.ts';
import {
  accountId,
  accountService,
  channelTo,
  connect,
  createAccountRequest,
  createAccountResponse,
  fullKey,
  makeAuthority,
  narrowKey,
  organizationId,
  outcomeOf,
  ruledAccess,
  serve,
} from './support.ts';

const account = createAccountResponse.account;
const bearer = (key: string) => ({ metadata: { authorization: `Bearer ${key}` } });
const updateRequest = {
  account: { ...account, displayName: 'B' },
  updateMask: ['display_name'],
  requestId: 'once',
};
const rememberedName = 'the first response';

/**
 * A server whose handlers pass their call to the test, with stored responses that the test sets.
 */
async function start(t: ExecutionContext, options: Partial<ServerOptions> = {}) {
  const calls: Call[] = [];
  const records = new Map<string, RequestRecord>();
  const ledger = {
    findRequest: async (key: Uint8Array) => records.get(Buffer.from(key).toString('hex')),
  };
  const tls = await (await makeAuthority(t))('service', 'org');
  const services = [
    accountService({
      createAccount: async (_, call) => {
        calls.push(call);
        return createAccountResponse;
      },
      updateAccount: async (_, call) => {
        calls.push(call);
        return { account };
      },
    }),
  ];
  const server = await serve(t, { tls, internal: false, services, ledger, ...options });
  const channel = channelTo(t, server, { ca: tls.ca });
  const client = connect(AccountServiceClient, channel, { refusals: true });
  /** Stores the response of the last call that a handler received. */
  const remember = (record: Partial<RequestRecord>) => {
    const request = calls.at(-1)?.request;
    if (request === undefined) throw new TypeError('no call with a request_id was handled');
    const whole = { bodyHash: request.bodyHash, reauthorize: [], ...record };
    records.set(Buffer.from(request.key).toString('hex'), whole);
  };
  return { client, calls, remember, records };
}

const answer = { account: { ...account, displayName: rememberedName } };
const response = UpdateAccountResponse.encode(answer).finish();

test('a retry of a finished request gets the first response and calls no handler', async (t) => {
  const { client, calls, remember } = await start(t);
  await client.updateAccount(updateRequest, bearer(fullKey));
  remember({ response });
  const repeated = await client.updateAccount(updateRequest, bearer(fullKey));
  t.is(repeated.account?.displayName, rememberedName);
  t.is(calls.length, 1);
});

test('the same request_id with another body is rejected', async (t) => {
  const { client, remember } = await start(t);
  await client.updateAccount(updateRequest, bearer(fullKey));
  remember({ response });
  const other = { ...updateRequest, account: { ...account, displayName: 'C' } };
  t.is(await outcomeOf(client.updateAccount(other, bearer(fullKey))), 'REQUEST_ID_REUSED');
});

test('the response of a request without request_id is not stored', async (t) => {
  const { client, calls } = await start(t);
  await client.updateAccount({ ...updateRequest, requestId: '' }, bearer(fullKey));
  t.is(calls[0]?.request, undefined);
});

test('a response is stored by account, method and request_id, and its key does not reveal the id', async (t) => {
  const { client, calls } = await start(t);
  await client.updateAccount(updateRequest, bearer(fullKey));
  await client.updateAccount(updateRequest, bearer(fullKey));
  await client.updateAccount({ ...updateRequest, requestId: 'twice' }, bearer(fullKey));
  const keys = calls.map(({ request }) => Buffer.from(request?.key ?? []).toString('hex'));
  t.is(keys[0], keys[1]);
  t.not(keys[0], keys[2]);
  t.is(calls[0]?.request?.id, 'once');
});

test('a caller that lost the target may retry if the organizations of the first call allow it', async (t) => {
  const access = ruledAccess();
  const lost = { isLost: false };
  const authorize = async (question: Question, signal: AbortSignal): Promise<Answer> => {
    // Only the method's own access check has a target.
    if (!lost.isLost || !('projectId' in question)) return await access.authorize(question, signal);
    const allowed = await access.authorize({ keyHash: question.keyHash }, signal);
    const refusal = { reason: ErrorReason.ERROR_REASON_PROJECT_NOT_FOUND, detail: 'prj_1' };
    return { allowed: false, refusal, key: allowed.allowed ? allowed.facts.key : undefined };
  };
  const { client, remember } = await start(t, {
    access: { ...access, authorize, permit: lastingPermit(authorize) },
  });
  await client.updateAccount(updateRequest, bearer(fullKey));
  lost.isLost = true;
  t.is(await outcomeOf(client.updateAccount(updateRequest, bearer(fullKey))), 'PROJECT_NOT_FOUND');
  remember({ response, reauthorize: [{ organizationId, level: Level.LEVEL_MEMBER }] });
  t.is(await outcomeOf(client.updateAccount(updateRequest, bearer(fullKey))), 'OK');
  t.like(access.questions.at(-1), { organizationId, level: Level.LEVEL_MEMBER });
  t.is(await outcomeOf(client.updateAccount(updateRequest, bearer(narrowKey))), 'SCOPE_REQUIRED');
  const elsewhere = { organizationId: `org_us_${'1'.repeat(26)}`, level: Level.LEVEL_MEMBER };
  remember({ response, reauthorize: [elsewhere] });
  const outcome = await outcomeOf(client.updateAccount(updateRequest, bearer(fullKey)));
  t.is(outcome, 'ORGANIZATION_NOT_FOUND');
});

test('a sealed response is opened with the request_id that sealed it', async (t) => {
  const { client, calls, remember } = await start(t);
  await client.createAccount(createAccountRequest);
  const secret = { ...createAccountResponse, apiKey: 'phx_secret' };
  const bytes = CreateAccountResponse.encode(secret).finish();
  remember({ sealed: sealWith(createAccountRequest.requestId, bytes) });
  const { apiKey } = await client.createAccount(createAccountRequest);
  t.is(apiKey, 'phx_secret');
  t.is(calls.length, 1);
});

test('the request ids of sign-ups belong to the e-mail in any case', async (t) => {
  const { client, calls } = await start(t);
  await client.createAccount(createAccountRequest);
  await client.createAccount({ ...createAccountRequest, email: 'a@example.com' });
  await client.createAccount({ ...createAccountRequest, email: 'b@example.com' });
  const keys = calls.map(({ request }) => Buffer.from(request?.key ?? []).toString('hex'));
  t.is(keys[0], keys[1]);
  t.not(keys[0], keys[2]);
});

test('a retry of a running saga calls the handler with the record', async (t) => {
  const { client, calls, remember } = await start(t);
  await client.updateAccount(updateRequest, bearer(fullKey));
  t.is(calls[0]?.repeat, undefined);
  remember({ sagaId: 'saga' });
  await client.updateAccount(updateRequest, bearer(fullKey));
  t.is(calls[1]?.repeat?.sagaId, 'saga');
  t.like(calls[1]?.caller, { kind: 'key', organization: undefined });
});

test('a revoked key may retry the request that revoked it, and nothing else', async (t) => {
  const dying = newApiKey();
  const life = { isOver: false };
  const access = ruledAccess();
  const authorize = async (question: Question, signal: AbortSignal) => {
    const isDying = hashOf(dying).equals(question.keyHash) && !life.isOver;
    const keyHash = isDying ? hashOf(fullKey) : question.keyHash;
    return await access.authorize({ ...question, keyHash }, signal);
  };
  let requestKey: Uint8Array = Buffer.alloc(32);
  const { client, calls, remember } = await start(t, {
    access: { ...access, authorize, permit: lastingPermit(authorize) },
    findEndedKey: async (keyHash) =>
      hashOf(dying).equals(keyHash) ? { accountId, keyId: 'key_1', requestKey } : undefined,
  });
  await client.updateAccount(updateRequest, bearer(dying));
  remember({ response });
  life.isOver = true;
  t.is(await outcomeOf(client.updateAccount(updateRequest, bearer(dying))), 'TOKEN_INVALID');
  requestKey = calls[0]?.request?.key ?? requestKey;
  t.is(await outcomeOf(client.updateAccount(updateRequest, bearer(dying))), 'OK');
  const other = { ...updateRequest, requestId: 'other' };
  t.is(await outcomeOf(client.updateAccount(other, bearer(dying))), 'TOKEN_INVALID');
  const none = { ...updateRequest, requestId: '' };
  t.is(await outcomeOf(client.updateAccount(none, bearer(dying))), 'TOKEN_INVALID');
  t.is(await outcomeOf(client.getAccount({}, bearer(dying))), 'TOKEN_INVALID');
  t.is(await outcomeOf(client.updateAccount(updateRequest, bearer(newApiKey()))), 'TOKEN_INVALID');
});

test('the access error is returned if no response is stored', async (t) => {
  const { client, calls } = await start(t);
  const call = client.updateAccount(updateRequest, bearer(narrowKey));
  t.is(await outcomeOf(call), 'SCOPE_REQUIRED');
  t.deepEqual(calls, []);
});
