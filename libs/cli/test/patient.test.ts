import { Metadata, status } from '@grpc/grpc-js';
import { errors } from '@silo/errors/errors.ts';
import test, { type ExecutionContext } from 'ava';
import { CallFailure, Failure, Interrupted } from '../failure.ts';
import { type Patience, patient } from '../patient.ts';
import { noProgress } from '../progress.ts';

type Request = { requestId: string };

const patience = (rest: Partial<Patience> = {}): Patience => ({
  signal: new AbortController().signal,
  requestId: undefined,
  progress: noProgress,
  sleep: async () => {},
  ...rest,
});

/**
 * A method that fails with one of these errors in each call, then returns; and the requests that it
 * received.
 */
function failing(...failures: unknown[]) {
  const requests: Request[] = [];
  const method = async (request: Request) => {
    requests.push(request);
    const failure = failures.shift();
    if (failure !== undefined) throw failure;
    return { ok: true };
  };
  return { requests, method };
}

const silence = Object.assign(new Error('nobody there'), {
  code: status.UNAVAILABLE,
  details: '',
  metadata: new Metadata(),
});

async function failureOf(t: ExecutionContext, call: Promise<unknown>): Promise<CallFailure> {
  const error = await t.throwsAsync(call, { instanceOf: CallFailure });
  if (error === undefined) throw new Error('it did not fail');
  return error;
}

test('a change carries a request id, the same in every repeat', async (t) => {
  const { method, requests } = failing(silence, errors.draining(), errors.requestInProgress());
  const { createProject } = patient({ createProject: method }, patience());
  t.deepEqual(await createProject({ requestId: '' }), { ok: true });
  t.is(requests.length, 4);
  t.regex(requests[0]?.requestId ?? '', /^[0-9a-f-]{36}$/);
  t.is(new Set(requests.map(({ requestId }) => requestId)).size, 1);
});

test('the error of a failed call contains the address', async (t) => {
  const { method } = failing(...Array.from({ length: 10 }, () => silence));
  const at = '127.0.0.1:7101 (org)';
  const called = patient({ getAccount: method, createProject: method }, patience({ at }));
  t.is((await failureOf(t, called.getAccount({} as Request))).at, at);
  t.is((await failureOf(t, called.createProject({ requestId: '' }))).at, at);
});

test('two changes have different ids, and a given id is used as it is', async (t) => {
  const { method, requests } = failing();
  const { createProject } = patient({ createProject: method }, patience());
  await createProject({ requestId: '' });
  await createProject({ requestId: '' });
  t.not(requests[0]?.requestId, requests[1]?.requestId);
  const given = patient({ createProject: method }, patience({ requestId: 'mine' }));
  await given.createProject({ requestId: '' });
  t.is(requests[2]?.requestId, 'mine');
});

test('a refusal that a retry cannot change is not retried', async (t) => {
  const { method, requests } = failing(errors.lastProject());
  const { moveProject } = patient({ moveProject: method }, patience({ requestId: 'mine' }));
  const failure = await failureOf(t, moveProject({ requestId: '' }));
  t.is(requests.length, 1);
  t.is(failure.requestId, 'mine');
  t.truthy(failure.refusal);
});

test('retries are bounded, and wait at least as long as the server requests', async (t) => {
  const { method, requests } = failing(...Array.from({ length: 9 }, () => errors.draining()));
  const waitedMs: number[] = [];
  const sleep = async (durationMs: number) => {
    waitedMs.push(durationMs);
  };
  const { moveProject } = patient({ moveProject: method }, patience({ sleep }));
  await failureOf(t, moveProject({ requestId: '' }));
  t.is(requests.length, 5);
  t.is(waitedMs.length, 4);
  t.true(waitedMs.every((durationMs) => durationMs >= 1_000 && durationMs <= 3_000));
});

for (const name of ['createAccount', 'createApiKey', 'rollApiKey', 'inviteMember']) {
  test(`the request id of ${name} is a secret: neither accepted nor shown`, async (t) => {
    const { method } = failing(errors.lastOwner());
    const [fresh, given] = [patience(), patience({ requestId: 'mine' })].map(
      (each) => patient({ [name]: method }, each)[name],
    );
    t.is((await failureOf(t, fresh?.({ requestId: '' }) ?? t.fail())).requestId, undefined);
    await t.throwsAsync(async () => given?.({ requestId: '' }), { instanceOf: Failure });
  });
}

test('a signal ends the wait, and the error contains the id of the pending change', async (t) => {
  const controller = new AbortController();
  const { method } = failing(errors.draining());
  const sleep = async () => {
    controller.abort(new Interrupted('SIGINT'));
    controller.signal.throwIfAborted();
  };
  const { signal } = controller;
  const { moveProject } = patient(
    { moveProject: method },
    patience({ signal, sleep, requestId: 'mine' }),
  );
  const error = await t.throwsAsync(moveProject({ requestId: '' }), { instanceOf: Interrupted });
  t.is(error?.sent?.requestId, 'mine');
});

test('a call over the rate limit is retried after the time that the server requests', async (t) => {
  const { method, requests } = failing(
    errors.rateLimited('account', 4_000),
    errors.rateLimited('account', 2_000),
  );
  const slept: number[] = [];
  const sleep = async (durationMs: number) => void slept.push(durationMs);
  const { listProjects } = patient({ listProjects: method }, patience({ sleep }));
  t.deepEqual(await listProjects({} as Request), { ok: true });
  t.is(requests.length, 3);
  t.true((slept[0] ?? 0) >= 4_000 && (slept[1] ?? 0) >= 2_000, slept.join());
});

test('a rate limit that lasts longer than the command waits is reported at once', async (t) => {
  const { method, requests } = failing(errors.rateLimited('sign_ups', 3_000_000));
  const { createAccount } = patient({ createAccount: method }, patience());
  const { refusal } = await failureOf(t, createAccount({ requestId: '' }));
  t.is(requests.length, 1);
  t.is(refusal?.details.retryDelayMs, 3_000_000);
});

test('a request with its own signal ends with it, and other requests continue', async (t) => {
  const asked: (AbortSignal | undefined)[] = [];
  const method = (_: object, options?: { signal?: AbortSignal }): Promise<object> => {
    asked.push(options?.signal);
    if (options?.signal === undefined) return Promise.resolve({});
    return new Promise((_, reject) => {
      options.signal?.addEventListener('abort', () => reject(silence));
    });
  };
  const { getProject } = patient({ getProject: method }, patience());
  const own = new AbortController();
  const ended = getProject({}, { signal: own.signal });
  own.abort(new Error('too late'));
  await t.throwsAsync(ended, { message: 'too late' });
  t.deepEqual(await getProject({}), {});
  t.is(asked.length, 2);
});
