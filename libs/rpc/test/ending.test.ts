import { once } from 'node:events';
import { status } from '@grpc/grpc-js';
import { errors } from '@silo/errors/errors.ts';
import { HealthClient } from '@silo/protos/gen/grpc/health/v1/health.ts';
import type { ReadEventsResponse } from '@silo/protos/gen/silo/events/internal/v1/event_log_service.ts';
import { EventLogServiceClient } from '@silo/protos/gen/silo/events/internal/v1/event_log_service.ts';
import test, { type ExecutionContext } from 'ava';
import { eventually, untilIs } from '../../../test/harness/eventually.ts';
import type { Call } from '../call.ts';
import type { ServerOptions } from '../server.ts';
import {
  channelTo,
  collect,
  connect,
  eventLogService,
  makeAuthority,
  outcomeOf,
  serve,
} from './support.ts';

const readRequest = { afterSequence: 0, batchSize: 0, follow: true };
const batch: ReadEventsResponse = { events: [], head: { sequence: 1, incarnation: 'i' } };

async function start(
  t: ExecutionContext,
  handlers: Parameters<typeof eventLogService>[0],
  options: Partial<ServerOptions> = {},
) {
  const tls = await (await makeAuthority(t))('service', 'org');
  const services = [eventLogService(handlers)];
  const server = await serve(t, { tls, internal: true, services, ...options });
  const channel = channelTo(t, server, tls);
  // Connects before any deadline runs.
  await connect(HealthClient, channel, { deadlineMs: 30_000 }).check({ service: '' });
  return { server, client: connect(EventLogServiceClient, channel, { refusals: true }) };
}

/** A handler that passes its call to the test and then waits for its signal. */
function waiting() {
  const started = Promise.withResolvers<Call>();
  const handle = async (_: unknown, call: Call): Promise<never> => {
    started.resolve(call);
    if (!call.signal.aborted) await once(call.signal, 'abort');
    throw call.signal.reason;
  };
  return { handle, started: started.promise };
}

const brief = { deadlines: { maxMs: 100 } };
const patient = { deadlineMs: 30_000 };

test("the client's deadline aborts the handler", async (t) => {
  const calls: Call[] = [];
  const getHead = async (_: unknown, call: Call): Promise<never> => {
    calls.push(call);
    if (!call.signal.aborted) await once(call.signal, 'abort');
    throw call.signal.reason;
  };
  const { client } = await start(t, { getHead });
  // On a busy machine the deadline may pass before the handler is called, or the client may cancel
  // first.
  for (let tries = 0; tries < 8; tries++) {
    const error = await t.throwsAsync(client.getHead({}, { deadlineMs: 2_500 }));
    t.like(error, { code: status.DEADLINE_EXCEEDED });
    const call = calls.at(-1);
    if (call === undefined) continue;
    await untilIs(true, () => call.signal.aborted);
    if (call.signal.reason.name !== 'TimeoutError') continue;
    t.is(call.remainingMs(), 0);
    return;
  }
  t.fail('no call was ended by the deadline of the server');
});

test('a handler that stops at its deadline results in CALL_ENDED', async (t) => {
  const { client } = await start(t, { getHead: waiting().handle }, brief);
  const error = await t.throwsAsync(client.getHead({}, patient));
  t.like(error, { code: status.DEADLINE_EXCEEDED });
  t.is(await outcomeOf(Promise.reject(error)), 'CALL_ENDED');
});

test('a handler may return a more specific error at its deadline', async (t) => {
  const getHead = async (_: unknown, call: Call): Promise<never> => {
    if (!call.signal.aborted) await once(call.signal, 'abort');
    throw errors.requestInProgress();
  };
  const { client } = await start(t, { getHead }, { deadlines: { maxMs: 1_000 } });
  t.is(await outcomeOf(client.getHead({}, patient)), 'REQUEST_IN_PROGRESS');
});

test('a handler that ignores its signal results in CALL_ENDED', async (t) => {
  const getHead = () => new Promise<never>(() => {});
  const { client } = await start(t, { getHead }, brief);
  t.is(await outcomeOf(client.getHead({}, patient)), 'CALL_ENDED');
});

test('a call has a deadline even if the client sets none, and at most the maximum', async (t) => {
  const seen: number[] = [];
  const getHead = async (_: unknown, call: Call) => {
    seen.push(call.remainingMs());
    return { head: undefined };
  };
  const { client } = await start(t, { getHead }, { deadlines: { maxMs: 20_000 } });
  await client.getHead({}, { deadlineMs: 600_000 });
  await untilIs('OK', () => outcomeOf(client.getHead({}, { deadlineMs: 2_000 })));
  t.true((seen[0] ?? 0) > 10_000 && (seen[0] ?? 0) <= 20_000);
  // A tenth is reserved, so that the response arrives before the client's deadline.
  const last = seen.at(-1) ?? 0;
  t.true(last > 0 && last <= 1_800);
});

test('a cancelled call aborts its handler and rejects with the reason given', async (t) => {
  const { handle, started } = waiting();
  const { client } = await start(t, { getHead: handle });
  const controller = new AbortController();
  const reason = new Error('changed my mind');
  const call = client.getHead({}, { signal: controller.signal });
  const { signal } = await started;
  controller.abort(reason);
  t.is(await t.throwsAsync(call), reason);
  await untilIs(true, () => signal.aborted);
  t.is(signal.reason.name, 'AbortError');
});

test('a stream yields in order and ends when its handler does', async (t) => {
  const readEvents = async function* () {
    for (let sequence = 1; sequence <= 100; sequence++) {
      yield { events: [], head: { sequence, incarnation: 'i' } };
    }
  };
  const { client } = await start(t, { readEvents });
  const all = await collect(client.readEvents(readRequest));
  t.deepEqual(
    all.map(({ head }) => head?.sequence),
    Array.from({ length: 100 }, (_, index) => index + 1),
  );
});

test('a failing stream yields the messages before the error, then the error', async (t) => {
  const readEvents = async function* () {
    yield batch;
    throw errors.logCompacted(7);
  };
  const { client } = await start(t, { readEvents });
  const got: unknown[] = [];
  const reading = (async () => {
    for await (const one of client.readEvents(readRequest)) got.push(one);
  })();
  t.is(await outcomeOf(reading), 'LOG_COMPACTED');
  t.is(got.length, 1);
});

/** A stream that yields one message and then waits until its signal aborts. */
function silentStream() {
  const started = Promise.withResolvers<Call>();
  const readEvents = async function* (_: unknown, call: Call) {
    started.resolve(call);
    yield batch;
    await new Promise<never>(() => {}); // ignores its signal
  };
  return { readEvents, started: started.promise };
}

test('a client that stops reading ends the stream on the server', async (t) => {
  const { readEvents, started } = silentStream();
  const { client } = await start(t, { readEvents });
  for await (const one of client.readEvents(readRequest)) {
    t.deepEqual(one, batch);
    break;
  }
  const { signal } = await started;
  await untilIs(true, () => signal.aborted);
  t.is(signal.reason.name, 'AbortError', 'not by its deadline');
});

test('a slow reader slows the stream down', async (t) => {
  let made = 0;
  const event = { sequence: 1, id: '', type: '', subject: '', time: undefined, correlationId: '' };
  const events = [{ ...event, actor: '', bodyJson: 'x'.repeat(100_000) }];
  const readEvents = async function* () {
    for (; made < 1_000; made++) yield { events, head: undefined };
  };
  const { client } = await start(t, { readEvents });
  const stream = client.readEvents(readRequest)[Symbol.asyncIterator]();
  await stream.next();
  let before = -1;
  await eventually(() => {
    const last = before;
    before = made;
    if (made !== last) throw new Error(`${made} messages were made, ${last} before`);
  });
  t.true(made < 500, `${made} messages were made for one that was read`);
  await stream.return?.();
});

test('during a drain calls in flight finish and new calls are rejected', async (t) => {
  const started = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  const getHead = async () => {
    started.resolve();
    await release.promise;
    return { head: undefined };
  };
  const { client, server } = await start(t, { getHead });
  const inFlight = client.getHead({});
  await started.promise;
  const drained = server.drain(60_000);
  const refusal = await t.throwsAsync(client.getHead({}));
  t.is(await outcomeOf(Promise.reject(refusal)), 'DRAINING');
  t.like(refusal, { code: status.UNAVAILABLE, details: { retryDelayMs: 1_000 } });
  release.resolve();
  t.is(await outcomeOf(inFlight), 'OK');
  await drained;
});

test('a drain aborts calls that do not finish in time, and ends streams at once', async (t) => {
  const unary = waiting();
  const stream = silentStream();
  const { client, server } = await start(t, {
    getHead: unary.handle,
    readEvents: stream.readEvents,
  });
  const head = outcomeOf(client.getHead({}));
  const events = outcomeOf(collect(client.readEvents(readRequest)));
  await Promise.all([unary.started, stream.started]);
  await server.drain(50);
  t.is(await head, 'DRAINING');
  t.is(await events, 'DRAINING');
});
