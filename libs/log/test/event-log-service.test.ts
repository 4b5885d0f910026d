import { SiloError } from '@silo/errors/silo-error.ts';
import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import type {
  ReadEventsRequest,
  ReadEventsResponse,
} from '@silo/protos/gen/silo/events/internal/v1/event_log_service.ts';
import { ReadEventsResponse as ResponseMessage } from '@silo/protos/gen/silo/events/internal/v1/event_log_service.ts';
import { systemSleep } from '@silo/runtime/clock.ts';
import { silentLogger } from '@silo/runtime/log.ts';
import test, { type ExecutionContext } from 'ava';
import { eventually } from '../../../test/harness/eventually.ts';
import type { EventLog } from '../event-log.ts';
import { getHead, readEvents } from '../event-log-service.ts';
import type { LogReader } from '../log-reader.ts';
import { remoteReader } from '../remote-reader.ts';
import { subscribe } from '../subscribe.ts';
import { mutation, testEventLog } from './support.ts';

/** The numbers from `first` to `last`. */
const range = (first: number, last: number) =>
  Array.from({ length: last - first + 1 }, (_, index) => first + index);

const { signal } = new AbortController();
const fromStart: ReadEventsRequest = { afterSequence: 0, batchSize: 0, follow: false };

async function decide(eventLog: EventLog, count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) {
    await eventLog.decide(mutation(), async (tx) => {
      tx.emit({ event: 'moved', subject: 'prj_1', body: { turn } });
    });
  }
}

async function collect(answers: AsyncIterable<ReadEventsResponse>): Promise<ReadEventsResponse[]> {
  const collected: ReadEventsResponse[] = [];
  for await (const answer of answers) collected.push(answer);
  return collected;
}

/** Subscribes to a log until the test ends. */
function subscriber(
  t: ExecutionContext,
  reader: LogReader,
  options: { afterSequence?: number; failOnce?: number } = {},
) {
  const received: number[] = [];
  let handledUpTo = options.afterSequence ?? 0;
  let { failOnce } = options;
  let gap: number | undefined;
  const stopping = new AbortController();
  const ended = subscribe(
    reader,
    () => handledUpTo,
    async ({ events, firstSequence }) => {
      gap ??= firstSequence;
      if (events.some(({ sequence }) => sequence === failOnce)) {
        failOnce = undefined;
        throw new Error('the handler could not store this');
      }
      received.push(...events.map(({ sequence }) => sequence));
      handledUpTo = received.at(-1) ?? handledUpTo;
      return undefined;
    },
    { name: 'test', batchMax: 2, signal: stopping.signal, log: silentLogger() },
  );
  t.teardown(async () => {
    stopping.abort();
    await ended;
  });
  const receives = (last: number) =>
    eventually(() => {
      if (received.at(-1) !== last) throw new Error(`received up to ${received.at(-1)}`);
    });
  return { received, receives, gap: () => gap };
}

/**
 * A reader like that of another process: it uses the handlers of the service, without a network.
 */
function remote(
  eventLog: EventLog,
  read: (request: ReadEventsRequest) => AsyncIterable<ReadEventsResponse> = (request) =>
    readEvents(eventLog)(request, { signal }),
): LogReader {
  const client = { readEvents: read, getHead: () => getHead(eventLog)({}, { signal }) };
  const reader = remoteReader('project', client);
  return { ...reader, wait: (_afterSequence, _maxMs, each) => systemSleep(20, each) };
}

test('a message of events ends by count or bytes, so that every client can receive it', async (t) => {
  const { eventLog } = await testEventLog(t);
  const bodyBytes = 51_000;
  for (let turn = 0; turn < 84; turn++) {
    await eventLog.decide(mutation(), async (tx) => {
      tx.emit({ event: 'updated', subject: 'prj_1', body: { text: 'é'.repeat(bodyBytes / 2) } });
    });
  }
  await getHead(eventLog)({}, { signal });
  for (const batchSize of [0, 1_000]) {
    const answers = await collect(readEvents(eventLog)({ ...fromStart, batchSize }, { signal }));
    const sequences = answers.flatMap(({ events }) => events.map(({ sequence }) => sequence));
    t.deepEqual(sequences, range(1, 84));
    for (const answer of answers) {
      t.true(answer.events.length > 0);
      t.true(ResponseMessage.encode(answer).finish().length <= 1024 * 1024);
    }
  }
  const inMemory = eventLog.recent({ afterSequence: 0, limit: 200 });
  t.deepEqual(
    inMemory?.events.map(({ sequence }) => sequence),
    range(1, 20),
  );
});

test('reading returns everything in order, in batches, and ends at the head', async (t) => {
  const { eventLog } = await testEventLog(t);
  await decide(eventLog, 7);
  const { head } = await getHead(eventLog)({}, { signal });
  t.is(head?.sequence, 7);
  const answers = await collect(readEvents(eventLog)({ ...fromStart, batchSize: 3 }, { signal }));
  t.deepEqual(
    answers.map(({ events }) => events.map(({ sequence }) => sequence)),
    [[1, 2, 3], [4, 5, 6], [7]],
  );
  t.deepEqual(answers.at(-1)?.head, head);
  const [event] = answers[0]?.events ?? [];
  t.like(event, {
    type: 'internal.silo.project.moved.v1',
    subject: 'prj_1',
    actor: 'acc_1',
    bodyJson: '{"turn":0}',
  });
  for (const answer of answers) t.notThrows(() => ResponseMessage.encode(answer).finish());
});

test('reading an empty log, or at its end, returns once, with the head', async (t) => {
  const { eventLog } = await testEventLog(t);
  t.like(await collect(readEvents(eventLog)(fromStart, { signal })), [
    { events: [], head: { sequence: 0 } },
  ]);
  await decide(eventLog, 2);
  await getHead(eventLog)({}, { signal });
  t.like(await collect(readEvents(eventLog)({ ...fromStart, afterSequence: 2 }, { signal })), [
    { events: [], head: { sequence: 2 } },
  ]);
});

test('the head includes what was committed before the call, even by a process that died', async (t) => {
  const { eventLog, another } = await testEventLog(t);
  await decide(await another({ sequencesOwn: false }), 3);
  t.is((await eventLog.read({ afterSequence: 0, limit: 1 })).head.sequence, 0);
  t.is((await getHead(eventLog)({}, { signal })).head?.sequence, 3);
});

test('a subscriber receives what this and other processes decide, without gaps', async (t) => {
  const { eventLog, another } = await testEventLog(t);
  const other = await another();
  await decide(eventLog, 3);
  const local = subscriber(t, other);
  const overRpc = subscriber(t, remote(other));
  await Promise.all([local.receives(3), overRpc.receives(3)]);
  await Promise.all([decide(eventLog, 10), decide(other, 10)]);
  await Promise.all([local.receives(23), overRpc.receives(23)]);
  t.deepEqual(local.received, range(1, 23));
  t.deepEqual(overRpc.received, range(1, 23));
});

test('a subscriber continues from its position when the reader or the handler fails', async (t) => {
  const { eventLog } = await testEventLog(t);
  await decide(eventLog, 9);
  let calls = 0;
  const breaking = remote(eventLog, (request) => {
    calls++;
    if (calls === 2) throw new Error('the connection broke');
    return readEvents(eventLog)(request, { signal });
  });
  const { received, receives } = subscriber(t, breaking, { afterSequence: 1, failOnce: 6 });
  await receives(9);
  t.deepEqual(received, range(2, 9));
});

test('ReadEvents refuses what the log no longer holds, and a subscriber skips it', async (t) => {
  const { connection, eventLog } = await testEventLog(t);
  await decide(eventLog, 4);
  await getHead(eventLog)({}, { signal });
  await connection.db
    .collection<{ _id: number }>('events')
    .deleteMany({ _id: { $lte: 2 } }, { writeConcern: { w: 'majority' } });
  const error = await t.throwsAsync(collect(readEvents(eventLog)(fromStart, { signal })));
  t.true(error instanceof SiloError);
  t.is((error as SiloError).reason, ErrorReason.ERROR_REASON_LOG_COMPACTED);
  t.is((error as SiloError).metadata.first_sequence, '3');
  for (const reader of [eventLog, remote(eventLog)]) {
    const { received, receives, gap } = subscriber(t, reader);
    await receives(4);
    t.deepEqual(received, [3, 4]);
    t.is(gap(), 3);
  }
});

test('a subscriber chooses its start again for another incarnation of the log', async (t) => {
  const { connection, eventLog } = await testEventLog(t);
  await decide(eventLog, 2);
  const { received, receives } = subscriber(t, { ...remote(eventLog) });
  await receives(2);
  await connection.db
    .collection<{ _id: 'log'; incarnation: string }>('log')
    .updateOne(
      { _id: 'log' },
      { $set: { incarnation: 'zz' } },
      { writeConcern: { w: 'majority' } },
    );
  await decide(eventLog, 1);
  await receives(3);
  t.deepEqual(received, [1, 2, 3]);
});
