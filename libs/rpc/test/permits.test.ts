import type { Access } from '@silo/access/access.ts';
import { errors } from '@silo/errors/errors.ts';
import { fromStatus } from '@silo/errors/from-status.ts';
import { Outcome, type RequestRecord } from '@silo/mongo/mutation.ts';
import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import type { Propagation } from '@silo/protos/gen/silo/common/v1/propagation.ts';
import { AccountServiceClient } from '@silo/protos/gen/silo/org/v1/account_service.ts';
import {
  ProjectTokenServiceClient,
  ProjectTokenServiceService,
  RegenerateProjectTokenResponse,
} from '@silo/protos/gen/silo/token/v1/project_token_service.ts';
import test, { type ExecutionContext } from 'ava';
import { untilIs } from '../../../test/harness/eventually.ts';
import { type Call, keyCaller } from '../call.ts';
import { checkAccess } from '../check-access.ts';
import { connect } from '../client.ts';
import { mount } from '../mount.ts';
import type { ServerOptions } from '../server.ts';
import {
  accountService,
  channelTo,
  createAccountResponse,
  fullKey,
  makeAuthority,
  narrowKey,
  outcomeOf,
  ruledAccess,
  serve,
} from './support.ts';

const patience = { refusals: true, deadlineMs: 20_000 };
const { account } = createAccountResponse;
const projectId = `prj_${'0'.repeat(26)}`;
const bearer = (key = fullKey) => ({ metadata: { authorization: `Bearer ${key}` } });
const updateRequest = { account, updateMask: ['display_name'], requestId: 'once' };
const regenerateRequest = { projectId, expectedFingerprint: '', requestId: 'once' };
const projectToken = { projectId, token: 'phc_1', fingerprint: 'f', createTime: undefined };
const response = RegenerateProjectTokenResponse.encode({
  projectToken,
  propagation: undefined,
}).finish();
const propagation: Propagation = {
  positions: [{ source: 'token', incarnation: 'i', sequence: 7 }],
  ...{ guards: 3, acknowledged: 3, expired: 0, elapsed: { seconds: 0, nanos: 4_000_000 } },
};

/** Like `ruledAccess`, and counts the permits that are still held. */
function countedAccess() {
  const access = ruledAccess();
  const permits = { taken: 0, held: 0 };
  const permit: Access['permit'] = async (question, signal) => {
    const answer = await access.permit(question, signal);
    if (!answer.allowed) return answer;
    permits.taken++;
    permits.held++;
    const state = { isHeld: true };
    const release = () => {
      if (state.isHeld) permits.held--;
      state.isHeld = false;
    };
    return { ...answer, permit: { remainingMs: () => (state.isHeld ? 30_000 : 0), release } };
  };
  return { access: { ...access, permit }, permits };
}

type Decision = { eventIds: string[]; keepsAccess: boolean };

/** A server whose mutations do what the test specifies. */
async function start(t: ExecutionContext, options: Partial<ServerOptions> = {}) {
  const { access, permits } = countedAccess();
  const records = new Map<string, RequestRecord>();
  const calls: Call[] = [];
  const does = {
    act: async (_call: Call): Promise<Decision | undefined> => undefined,
    propagate: async (_eventIds: readonly string[], _signal: AbortSignal) => propagation,
  };
  const waited: { eventIds: readonly string[]; held: number }[] = [];
  const handle = async <Response>(call: Call, response: Response) => {
    calls.push(call);
    const decision = await does.act(call);
    return decision === undefined
      ? response
      : new Outcome<Response>(response, decision, { repeated: false });
  };
  const tls = await (await makeAuthority(t))('service', 'token');
  const server = await serve(t, {
    ...{ tls, internal: false, access, ...options },
    ledger: { findRequest: async (key) => records.get(Buffer.from(key).toString('hex')) },
    propagate: (eventIds, signal) => {
      waited.push({ eventIds, held: permits.held });
      return does.propagate(eventIds, signal);
    },
    services: [
      accountService({
        getAccount: (_, call) => handle(call, { account }),
        updateAccount: (_, call) => handle(call, { account }),
      }),
      mount(ProjectTokenServiceService, {
        getProjectToken: async () => ({ projectToken }),
        regenerateProjectToken: (_, call) => handle(call, { projectToken }),
      }),
    ],
  });
  const channel = channelTo(t, server, { ca: tls.ca });
  /** Stores the response of the last call that a handler received. */
  const remember = (record: Partial<RequestRecord>) => {
    const request = calls.at(-1)?.request;
    if (request === undefined) throw new TypeError('no call with a request_id was handled');
    const whole = { bodyHash: request.bodyHash, reauthorize: [], ...record };
    records.set(Buffer.from(request.key).toString('hex'), whole);
  };
  return {
    ...{ access, permits, calls, does, waited, remember, server },
    accounts: connect(AccountServiceClient, channel, patience),
    tokens: connect(ProjectTokenServiceClient, channel, patience),
  };
}

test('a mutation holds its permit until its handler ends, in whatever way', async (t) => {
  const { accounts, permits, does } = await start(t);
  const held: number[] = [];
  const endings: [string, () => Promise<undefined>][] = [
    ['OK', async () => undefined],
    ['LAST_OWNER', () => Promise.reject(errors.lastOwner())],
    ['INTERNAL', () => Promise.reject(new TypeError('a bug'))],
  ];
  for (const [outcome, end] of endings) {
    does.act = () => {
      held.push(permits.held);
      return end();
    };
    t.is(await outcomeOf(accounts.updateAccount(updateRequest, bearer())), outcome);
    t.is(permits.held, 0, outcome);
  }
  t.deepEqual(held, [1, 1, 1]);
});

test('a permit is released when its handler ends, not when the client leaves', async (t) => {
  const { accounts, permits, does } = await start(t);
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const entered = Promise.withResolvers<void>();
  does.act = () => {
    entered.resolve();
    return promise;
  };
  const leaving = new AbortController();
  const call = accounts.updateAccount(updateRequest, { ...bearer(), signal: leaving.signal });
  await entered.promise;
  leaving.abort(new Error('gone'));
  await t.throwsAsync(call);
  t.is(permits.held, 1, 'the handler may still commit');
  resolve(undefined);
  await untilIs(0, () => permits.held);
});

test('further access checks of a handler take permits too, and all are released when it ends', async (t) => {
  const { accounts, access, permits, does } = await start(t);
  does.act = async (call) => {
    const answer = await checkAccess(access, call, { keyHash: keyCaller(call).keyHash });
    t.true(answer.allowed);
    t.is(permits.held, 2);
    return undefined;
  };
  await accounts.updateAccount(updateRequest, bearer());
  t.is(permits.held, 0);
});

test('reads and denied calls take no permit', async (t) => {
  const { accounts, access, permits, does } = await start(t);
  does.act = async (call) => {
    t.true((await checkAccess(access, call, { keyHash: keyCaller(call).keyHash })).allowed);
    return undefined;
  };
  t.is(await outcomeOf(accounts.getAccount({}, bearer())), 'OK');
  const badShape = { ...updateRequest, account: undefined };
  t.is(await outcomeOf(accounts.updateAccount(badShape, bearer())), 'INVALID_FIELD');
  t.is(await outcomeOf(accounts.updateAccount(updateRequest, bearer(narrowKey))), 'SCOPE_REQUIRED');
  t.is(permits.taken, 0);
});

test('a retry of a known request takes no permit, whether it is finished or still running', async (t) => {
  const { tokens, permits, remember, calls } = await start(t);
  await tokens.regenerateProjectToken(regenerateRequest, bearer());
  t.is(permits.taken, 1);
  remember({ sagaId: 'saga' });
  await tokens.regenerateProjectToken(regenerateRequest, bearer());
  remember({ response });
  await tokens.regenerateProjectToken(regenerateRequest, bearer());
  t.is(calls.length, 2);
  t.is(permits.taken, 1);
});

test('a call that may end access waits for the revocation barrier and reports the propagation', async (t) => {
  const { tokens, does, waited } = await start(t);
  does.act = async () => ({ eventIds: ['event'], keepsAccess: false });
  const answer = await tokens.regenerateProjectToken(regenerateRequest, bearer());
  t.deepEqual(answer, { projectToken, propagation });
  t.deepEqual(
    waited,
    [{ eventIds: ['event'], held: 0 }],
    'the call does not wait for its own permit',
  );
});

test('a call with an unknown outcome waits for everything committed so far', async (t) => {
  const { tokens, waited } = await start(t);
  await tokens.regenerateProjectToken(regenerateRequest, bearer());
  t.deepEqual(waited, [{ eventIds: [], held: 0 }]);
});

test('a call that ends no access does not wait for the barrier', async (t) => {
  const { tokens, accounts, does, waited } = await start(t);
  does.act = async () => ({ eventIds: ['event'], keepsAccess: true });
  const answer = await tokens.regenerateProjectToken(regenerateRequest, bearer());
  t.is(answer.propagation, undefined);
  await accounts.updateAccount(updateRequest, bearer());
  await tokens.getProjectToken({ projectId }, bearer());
  t.deepEqual(waited, []);
});

test('a rejected call does not wait for the barrier', async (t) => {
  const { tokens, does, waited } = await start(t);
  does.act = () => Promise.reject(errors.lastOwner());
  const call = tokens.regenerateProjectToken(regenerateRequest, bearer());
  t.is(await outcomeOf(call), 'LAST_OWNER');
  t.deepEqual(waited, []);
});

test('a retry waits again, for the access that the first call ended', async (t) => {
  const { tokens, waited, remember } = await start(t);
  await tokens.regenerateProjectToken(regenerateRequest, bearer());
  remember({ response, eventIds: ['first'] });
  const repeated = await tokens.regenerateProjectToken(regenerateRequest, bearer());
  t.deepEqual(repeated, { projectToken, propagation });
  t.deepEqual(waited.at(-1), { eventIds: ['first'], held: 0 });
  remember({ response, eventIds: ['first'], keepsAccess: true });
  const kept = await tokens.regenerateProjectToken(regenerateRequest, bearer());
  t.deepEqual(kept, { projectToken, propagation: undefined });
  t.is(waited.length, 2);
});

test('an unconfirmed propagation is an error with a retry delay, and a retry can confirm it', async (t) => {
  const { tokens, does, remember } = await start(t);
  does.propagate = () => Promise.reject(errors.propagationUnconfirmed());
  const failed = await t.throwsAsync(tokens.regenerateProjectToken(regenerateRequest, bearer()));
  const refusal = fromStatus(failed);
  t.is(refusal?.reason, ErrorReason.ERROR_REASON_PROPAGATION_UNCONFIRMED);
  t.true((refusal?.details.retryDelayMs ?? 0) > 0);
  remember({ response });
  t.is(
    await outcomeOf(tokens.regenerateProjectToken(regenerateRequest, bearer())),
    'PROPAGATION_UNCONFIRMED',
  );
  does.propagate = async () => propagation;
  t.is(await outcomeOf(tokens.regenerateProjectToken(regenerateRequest, bearer())), 'OK');
});

test('a deadline that passes during the barrier reports that the change is committed', async (t) => {
  let outcome = '';
  let passedDuring = false;
  // On a busy machine a short deadline may pass before the barrier.
  for (let maxMs = 300; !passedDuring && maxMs < 100_000; maxMs *= 2) {
    const { tokens, does } = await start(t, { deadlines: { maxMs } });
    does.propagate = (_, signal) =>
      new Promise((_resolve, reject) => {
        passedDuring = !signal.aborted;
        const fail = () => reject(errors.propagationUnconfirmed(signal.reason));
        signal.addEventListener('abort', fail, { once: true });
      });
    outcome = await outcomeOf(tokens.regenerateProjectToken(regenerateRequest, bearer()));
  }
  t.true(passedDuring);
  t.is(outcome, 'PROPAGATION_UNCONFIRMED');
});

test('a draining server completes barriers, and reports those that it could not complete', async (t) => {
  const { tokens, does, waited, server } = await start(t);
  const soon = Promise.withResolvers<Propagation>();
  does.propagate = (eventIds, signal) =>
    eventIds.length === 0
      ? soon.promise
      : new Promise((_resolve, reject) => {
          const fail = () => reject(errors.propagationUnconfirmed(signal.reason));
          signal.addEventListener('abort', fail, { once: true });
        });
  const spreading = outcomeOf(tokens.regenerateProjectToken(regenerateRequest, bearer()));
  await untilIs(1, () => waited.length);
  does.act = async () => ({ eventIds: ['event'], keepsAccess: false });
  const stuck = outcomeOf(tokens.regenerateProjectToken(regenerateRequest, bearer()));
  await untilIs(2, () => waited.length);
  const drained = server.drain(200);
  soon.resolve(propagation);
  t.is(await spreading, 'OK');
  t.is(await stuck, 'PROPAGATION_UNCONFIRMED');
  await drained;
});
