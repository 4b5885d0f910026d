import { randomBytes } from 'node:crypto';
import { mutation } from '@silo/log/test/support.ts';
import { silentLogger } from '@silo/runtime/log.ts';
import test, { type ExecutionContext } from 'ava';
import { required } from '../../../test/harness/environment.ts';
import { eventually } from '../../../test/harness/eventually.ts';
import { messageKey, sealMessage } from '../authentication.ts';
import { subscribeBroadcasts } from '../broadcast.ts';
import { range, sequencesOf, testKey, testRelay } from './support.ts';

/** A leading relay, and a subscriber of event batches. */
async function subscribedRelay(t: ExecutionContext) {
  const relays = await testRelay(t);
  const nats = relays.link(required('NATS_URL'));
  const received: number[] = [];
  const bodies: string[] = [];
  let messages = 0;
  let malformed = 0;
  const ignored: string[] = [];
  const live = Promise.withResolvers<void>();
  const subscription = subscribeBroadcasts(nats, {
    subjectPrefix: relays.stream.subjectPrefix,
    services: ['project'],
    onBatch: (_service, { events }) => {
      messages++;
      received.push(...events.map(({ sequence }) => sequence));
      bodies.push(...events.map(({ bodyJson }) => bodyJson));
    },
    onMalformed: () => malformed++,
    findSecret: (keyId) => (keyId === testKey.id ? testKey.secret : undefined),
    onIgnored: (_subject, reason) => ignored.push(reason),
    onLive: live.resolve,
    log: silentLogger(),
  });
  t.teardown(() => subscription[Symbol.dispose]());
  await live.promise;
  relays.start('a');
  const holds = (last: number) =>
    eventually(async () => {
      if (sequencesOf(await relays.messages()).at(-1) !== last) throw new Error('not yet');
    });
  // From here on the relay leads.
  await relays.decide(1);
  await holds(1);
  const from = received.at(-1) ?? 1;
  return {
    ...{ relays, nats, bodies, holds, from, ignored },
    received: () => received.filter((sequence) => sequence > from),
    messages: () => messages,
    malformed: () => malformed,
    untilReceived: (last: number) =>
      eventually(() => {
        if (received.at(-1) !== last) throw new Error(`received ${received.join(' ')}`);
      }),
  };
}

test('a sequenced event is broadcast once, even if the stream gets it again', async (t) => {
  const { relays, holds, received, untilReceived } = await subscribedRelay(t);
  await relays.decide(9);
  await untilReceived(10);
  await holds(10);
  await relays.admin((manager) => manager.streams.delete(relays.stream.name));
  await holds(10);
  await relays.decide(1);
  await untilReceived(11);
  t.deepEqual(received(), range(2, 11));
});

test('a batch that is too long for one message is sent in several', async (t) => {
  const { relays, received, bodies, messages, untilReceived } = await subscribedRelay(t);
  const before = messages();
  const text = 'x'.repeat(100_000);
  await relays.eventLog.decide(mutation(), async (tx) => {
    for (let index = 0; index < 30; index++) {
      tx.emit({ event: 'updated', subject: 'prj_1', body: { text } });
    }
  });
  await relays.eventLog.head(AbortSignal.timeout(600_000));
  await untilReceived(31);
  t.deepEqual(received(), range(2, 31));
  t.true(bodies.slice(-30).every((body) => body === JSON.stringify({ text })));
  t.true(messages() - before >= 3, 'the server accepts a megabyte at once');
});

test('an authentic message that is not an event batch is reported as malformed, and counted', async (t) => {
  const { relays, nats, received, malformed, ignored } = await subscribedRelay(t);
  const subject = `numbered.${relays.stream.subjectPrefix}.project`;
  nats.publish(subject, sealMessage(testKey, subject, Buffer.from('{"no":"page"}')));
  nats.publish(subject, sealMessage(testKey, subject, Buffer.alloc(0)));
  await eventually(() => {
    if (malformed() !== 2) throw new Error(`${malformed()}`);
  });
  t.deepEqual(ignored, ['malformed', 'malformed']);
  t.deepEqual(received(), []);
});

test('a message that is not authentic is ignored, and counted by reason', async (t) => {
  const { relays, nats, received, malformed, ignored } = await subscribedRelay(t);
  const subject = `numbered.${relays.stream.subjectPrefix}.project`;
  const page = Buffer.from('anything');
  const stolenId = messageKey(testKey.id, randomBytes(32));
  nats.publish(subject, page);
  nats.publish(subject, Buffer.alloc(0));
  nats.publish(subject, sealMessage(messageKey('expired', randomBytes(32)), subject, page));
  nats.publish(subject, sealMessage(stolenId, subject, page));
  nats.publish(subject, sealMessage(testKey, subject.replace('project', 'token'), page));
  await eventually(() => {
    if (ignored.length !== 5) throw new Error(`${ignored}`);
  });
  const counted = ['malformed', 'malformed', 'unknown_key', 'wrong_mac', 'wrong_mac'];
  t.deepEqual(ignored, counted);
  t.is(malformed(), 0);
  t.deepEqual(received(), []);
});
