import { SiloError } from '@silo/errors/silo-error.ts';
import type { EventLog } from '@silo/log/event-log.ts';
import { mutation, testEventLog } from '@silo/log/test/support.ts';
import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import type {
  Head,
  LoggedEvent,
  ReadEventsRequest,
  ReadEventsResponse,
} from '@silo/protos/gen/silo/events/internal/v1/event_log_service.ts';
import { ReadEventsResponse as ResponseMessage } from '@silo/protos/gen/silo/events/internal/v1/event_log_service.ts';
import { silentLogger } from '@silo/runtime/log.ts';
import test, { type ExecutionContext } from 'ava';
import { eventually } from '../../../test/harness/eventually.ts';
import { getHead, readEvents } from '../event-log-service.ts';
import { followLog } from '../follow.ts';
import { range } from './support.ts';

const signal = AbortSignal.timeout(60_000);
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

/** Follows a log until the test ends, and notes what it hears. */
function follower(
  t: ExecutionContext,
  read: (request: ReadEventsRequest, signal: AbortSignal) => AsyncIterable<ReadEventsResponse>,
  options: { afterSequence?: number; failOnce?: number } = {},
) {
  const heard: LoggedEvent[] = [];
  const heads: Head[] = [];
  let { failOnce } = options;
  const stopping = new AbortController();
  const ended = followLog({
    name: 'project',
    read,
    afterSequence: options.afterSequence ?? 0,
    onEvents: async (events, head) => {
      if (events.some(({ sequence }) => sequence === failOnce)) {
        failOnce = undefined;
        throw new Error('the consumer could not store this');
      }
      heard.push(...events);
      heads.push(head);
    },
    signal: stopping.signal,
    log: silentLogger(),
  });
  t.teardown(async () => {
    stopping.abort();
    await ended.catch(() => {});
  });
  const hears = (last: number) =>
    eventually(() => {
      if (heard.at(-1)?.sequence !== last) throw new Error(`heard up to ${heard.at(-1)?.sequence}`);
    });
  return { heard, heads, ended, hears };
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
  const inMemory = eventLog.justNumbered({ afterSequence: 0, limit: 200 });
  t.deepEqual(
    inMemory?.events.map(({ sequence }) => sequence),
    range(1, 20),
  );
});

test('reading tells everything in order, in batches, and ends at the head', async (t) => {
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

test('reading an empty log, or its end, answers once with the head', async (t) => {
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

test('the head counts what was committed before the call, whoever died with it', async (t) => {
  const { eventLog, another } = await testEventLog(t);
  await decide(await another({ numbersOwn: false }), 3);
  t.is((await eventLog.head()).sequence, 0);
  t.is((await getHead(eventLog)({}, { signal })).head?.sequence, 3);
});

test('a follower hears what is decided here and in other processes, without gaps', async (t) => {
  const { eventLog, another } = await testEventLog(t);
  const other = await another();
  await decide(eventLog, 3);
  const read = (request: ReadEventsRequest, each: AbortSignal) =>
    readEvents(other)(request, { signal: each });
  const { heard, hears } = follower(t, read);
  await hears(3);
  await Promise.all([decide(eventLog, 10), decide(other, 10)]);
  await hears(23);
  t.deepEqual(
    heard.map(({ sequence }) => sequence),
    range(1, 23),
  );
});

test('a follower goes on where it was when its stream breaks or it fails itself', async (t) => {
  const { eventLog } = await testEventLog(t);
  await decide(eventLog, 9);
  await getHead(eventLog)({}, { signal });
  async function* breaking(request: ReadEventsRequest, each: AbortSignal) {
    let answers = 0;
    for await (const answer of readEvents(eventLog)(
      { ...request, batchSize: 2 },
      { signal: each },
    )) {
      yield answer;
      answers++;
      if (answers === 2) throw new Error('the connection broke');
    }
  }
  const { heard, hears } = follower(t, breaking, { afterSequence: 1, failOnce: 4 });
  await hears(9);
  t.deepEqual(
    heard.map(({ sequence }) => sequence),
    range(2, 9),
  );
});

test('who asks for what the log no longer holds is told to start over', async (t) => {
  const { connection, eventLog } = await testEventLog(t);
  await decide(eventLog, 4);
  await getHead(eventLog)({}, { signal });
  await connection.db
    .collection<{ _id: number }>('events')
    .deleteMany({ _id: { $lte: 2 } }, { writeConcern: { w: 'majority' } });
  const isCompacted = (error: unknown) => {
    t.true(error instanceof SiloError);
    t.is((error as SiloError).reason, ErrorReason.ERROR_REASON_LOG_COMPACTED);
    t.is((error as SiloError).metadata.first_sequence, '3');
  };
  isCompacted(await t.throwsAsync(collect(readEvents(eventLog)(fromStart, { signal }))));
  const read = (request: ReadEventsRequest, each: AbortSignal) =>
    readEvents(eventLog)(request, { signal: each });
  isCompacted(await t.throwsAsync(follower(t, read).ended));
});
