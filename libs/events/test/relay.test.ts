import test, { type ExecutionContext } from 'ava';
import type { StoredMsg } from 'nats';
import { required } from '../../../test/harness/environment.ts';
import { eventually } from '../../../test/harness/eventually.ts';
import { jetStreamOf } from '../../../test/harness/patient-nats.ts';
import { driftOf, ensureStream } from '../stream.ts';
import { ownNatsServer, range, sequencesOf, testRelay } from './support.ts';

type Relays = Awaited<ReturnType<typeof testRelay>>;

/** Waits until the stream holds what `isComplete` accepts, and returns it. */
async function streamHolds(
  { messages }: Relays,
  isComplete: (sequences: number[], found: StoredMsg[]) => boolean,
): Promise<StoredMsg[]> {
  return await eventually(async () => {
    const found = await messages();
    const sequences = sequencesOf(found);
    if (!isComplete(sequences, found)) throw new Error(`the stream holds ${sequences.join(' ')}`);
    return found;
  });
}

const upTo = (last: number) => (sequences: number[]) => sequences.at(-1) === last;

const messageIds = (found: StoredMsg[]) => found.map(({ header }) => header.get('Nats-Msg-Id'));

/**
 * Asserts that no number is missing, and that repeated ones are repeated in order and to the end.
 */
function assertWhole(t: ExecutionContext, sequences: number[], last: number): void {
  let reach = 0;
  for (const sequence of sequences) if (sequence === reach + 1) reach = sequence;
  t.is(reach, last, sequences.join(' '));
}

test('events arrive in the order of the log, with the documented headers and body', async (t) => {
  const relays = await testRelay(t);
  relays.start('a');
  await relays.decide(30);
  const found = await streamHolds(relays, upTo(30));
  t.deepEqual(sequencesOf(found), range(1, 30));
  const { events } = await relays.eventLog.read({ afterSequence: 0, limit: 1 });
  const [message] = found;
  const [event] = events;
  t.is(message?.subject, `${relays.stream.subjectPrefix}.project.updated.prj_1`);
  t.is(message?.string(), '{"turn":0}');
  const header = (name: string) => message?.header.get(name);
  t.is(header('Nats-Msg-Id'), event?.id);
  t.is(header('ce-id'), event?.id);
  t.is(header('ce-type'), 'internal.silo.project.updated.v1');
  t.is(header('ce-source'), '/silo/us/project');
  t.is(header('ce-time'), event?.time.toISOString());
  t.is(header('ce-sequence'), '00000000000000000001');
  t.is(header('ce-correlationid'), event?.correlationId);
  t.is(header('ce-authid'), 'acc_1');
});

test('events that were decided by a process that died before it sequenced them are published', async (t) => {
  const relays = await testRelay(t);
  await relays.decide(3, await relays.another({ sequencesOwn: false }));
  relays.start('a');
  t.deepEqual(sequencesOf(await streamHolds(relays, upTo(3))), range(1, 3));
});

test('when a relay stops, another one continues where it ended', async (t) => {
  const relays = await testRelay(t);
  const stopFirst = relays.start('a');
  await relays.decide(5);
  await streamHolds(relays, upTo(5));
  relays.start('b', await relays.another());
  await stopFirst();
  await relays.decide(5);
  t.deepEqual(sequencesOf(await streamHolds(relays, upTo(10))), range(1, 10));
});

test('services work without NATS, and the relay catches up when NATS starts, stops and returns', async (t) => {
  const server = await ownNatsServer(t);
  await server.kill();
  const relays = await testRelay(t, server.url);
  relays.start('a');
  await relays.decide(3);
  await server.start();
  await streamHolds(relays, upTo(3));
  await server.kill();
  await relays.decide(3);
  await server.start();
  assertWhole(t, sequencesOf(await streamHolds(relays, upTo(6))), 6);
});

test('a broker that returns without its data gets all events again', async (t) => {
  const server = await ownNatsServer(t);
  const relays = await testRelay(t, server.url);
  relays.start('a');
  await relays.decide(5);
  await streamHolds(relays, upTo(5));
  await server.kill();
  await server.forget();
  await server.start();
  t.deepEqual(sequencesOf(await streamHolds(relays, upTo(5))), range(1, 5));
});

test('a deleted stream is created again and filled in order, with new message ids', async (t) => {
  const relays = await testRelay(t);
  relays.start('a');
  await relays.decide(8);
  const before = await streamHolds(relays, upTo(8));
  await relays.admin((manager) => manager.streams.delete(relays.stream.name));
  const after = await streamHolds(relays, upTo(8));
  t.deepEqual(sequencesOf(after), range(1, 8));
  const ceIds = (found: StoredMsg[]) => found.map(({ header }) => header.get('ce-id'));
  t.deepEqual(ceIds(after), ceIds(before), 'the events are the same');
  for (const [index, id] of messageIds(after).entries()) {
    t.regex(id, new RegExp(`^${messageIds(before)[index]}:[0-9a-z]{26}$`));
  }
});

test('a stream that another service created again gets all events in order', async (t) => {
  const relays = await testRelay(t, required('NATS_URL'), 1_500);
  relays.start('a');
  await relays.decide(8);
  await streamHolds(relays, upTo(8));
  await relays.admin(async (manager) => {
    await manager.streams.delete(relays.stream.name);
    await ensureStream(manager, relays.stream);
  });
  await relays.decide(1); // published at once, before the stream is checked
  const found = await streamHolds(relays, ([first], { length }) => first === 1 && length >= 9);
  t.deepEqual(sequencesOf(found), range(1, 9));
});

test('the number of replicas, which the operator sets, is kept in the configuration of the stream', async (t) => {
  const relays = await testRelay(t);
  await relays.admin(async (manager) => {
    const { config } = await ensureStream(manager, relays.stream);
    t.deepEqual(driftOf({ ...config, num_replicas: 3 }, relays.stream), []);
    const fields = driftOf({ ...config, max_age: 1 }, relays.stream).map(({ field }) => field);
    t.deepEqual(fields, ['max_age']);
  });
});

test('a subject transform is removed from the configuration of the stream', async (t) => {
  const relays = await testRelay(t);
  await relays.admin(async (manager) => {
    const { config } = await ensureStream(manager, relays.stream);
    const subjects = `${relays.stream.subjectPrefix}.org.>`;
    const subject_transform = { src: subjects, dest: subjects.replace('.org.', '.token.') };
    await manager.streams.update(relays.stream.name, { ...config, subject_transform });
    const { config: mended } = await ensureStream(manager, relays.stream);
    t.is(mended.subject_transform, undefined);
    t.deepEqual(driftOf(mended, relays.stream), []);
  });
});

test('a purged stream is filled again', async (t) => {
  const relays = await testRelay(t);
  relays.start('a');
  await relays.decide(4);
  await streamHolds(relays, upTo(4));
  await relays.admin((manager) => manager.streams.purge(relays.stream.name));
  t.deepEqual(sequencesOf(await streamHolds(relays, upTo(4))), range(1, 4));
});

test('a stream that is purged before its first check is filled again', async (t) => {
  const relays = await testRelay(t, required('NATS_URL'), 1_500);
  relays.start('a');
  await relays.decide(4);
  await streamHolds(relays, upTo(4));
  await relays.admin((manager) => manager.streams.purge(relays.stream.name));
  t.deepEqual(sequencesOf(await streamHolds(relays, upTo(4))), range(1, 4));
});

test('everything after a gap is published again, once', async (t) => {
  const relays = await testRelay(t);
  relays.start('a');
  await relays.decide(6);
  await streamHolds(relays, upTo(6));
  await relays.admin((manager) => manager.streams.deleteMessage(relays.stream.name, 3));
  const repaired = await streamHolds(relays, (sequences) => sequences.length >= 9);
  t.deepEqual(sequencesOf(repaired), [1, 2, 4, 5, 6, 3, 4, 5, 6]);
  await relays.decide(2);
  const after = await streamHolds(relays, upTo(8));
  t.deepEqual(sequencesOf(after), [1, 2, 4, 5, 6, 3, 4, 5, 6, 7, 8]);
  t.notRegex(messageIds(after).at(-1) ?? '', /:/, 'new events have plain ids');
});

test('the loss of the last events while no relay runs is found at the next start', async (t) => {
  const relays = await testRelay(t);
  const stop = relays.start('a');
  await relays.decide(5);
  await streamHolds(relays, upTo(5));
  await stop();
  await relays.admin(async (manager) => {
    await manager.streams.deleteMessage(relays.stream.name, 4);
    await manager.streams.deleteMessage(relays.stream.name, 5);
  });
  relays.start('b');
  t.deepEqual(sequencesOf(await streamHolds(relays, upTo(5))), range(1, 5));
});

test('two relays at once leave every event in the stream, in order', async (t) => {
  const relays = await testRelay(t);
  relays.startUnelected(1);
  relays.startUnelected(2, await relays.another());
  await relays.decide(40);
  await relays.decide(1, await relays.another());
  const found = await streamHolds(relays, (sequences) => sequences.includes(41));
  assertWhole(t, sequencesOf(found), 41);
});

test('a service’s relay publishes beside others in one stream, and repairs only its own', async (t) => {
  const relays = await testRelay(t);
  relays.start('a');
  await relays.decide(3);
  await streamHolds(relays, upTo(3));
  const foreign = `${relays.stream.subjectPrefix}.token.created.prj_1`;
  const nats = await relays.link(required('NATS_URL')).ready(AbortSignal.timeout(600_000));
  await jetStreamOf(nats).publish(foreign, '{}');
  await relays.admin((manager) => manager.streams.deleteMessage(relays.stream.name, 4));
  await relays.decide(1);
  const found = await streamHolds(relays, upTo(4));
  t.deepEqual(sequencesOf(found), range(1, 4));
});

test('a relay without a broker reports no progress until it connects', async (t) => {
  const server = await ownNatsServer(t);
  const relays = await testRelay(t, server.url);
  relays.start('one');
  await relays.decide(1);
  await streamHolds(relays, (sequences) => sequences.length === 1);
  t.false(relays.progress.isStalled);
  await server.kill();
  await eventually(() => {
    relays.passMinute();
    if (!relays.progress.isStalled) throw new Error('the relay has not noticed');
  });
  await server.start();
  await relays.decide(1);
  await streamHolds(relays, (sequences) => sequences.length === 2);
  await eventually(() => {
    if (relays.progress.isStalled) throw new Error('the relay is still stalled');
  });
  t.pass();
});

test('a relay reports that the broker would not accept the largest event', async (t) => {
  const server = await ownNatsServer(t, 'max_payload: 65536');
  const relays = await testRelay(t, server.url);
  relays.start('one');
  await relays.decide(1);
  await eventually(() => {
    relays.passMinute();
    if (!relays.progress.isStalled) throw new Error('the relay has not noticed');
  });
  await relays.admin(async (manager) => {
    await t.throwsAsync(manager.streams.info(relays.stream.name), undefined, 'nothing is created');
  });
});
