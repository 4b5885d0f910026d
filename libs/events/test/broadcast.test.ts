import { randomBytes } from 'node:crypto';
import { mutation } from '@silo/log/test/support.ts';
import { silentLogger } from '@silo/runtime/log.ts';
import test, { type ExecutionContext } from 'ava';
import { required } from '../../../test/harness/environment.ts';
import { eventually } from '../../../test/harness/eventually.ts';
import { messageKey, sealMessage } from '../authentication.ts';
import { subscribeBroadcasts } from '../broadcast.ts';
import { range, sequencesOf, testKey, testRelay } from './support.ts';

/** A relay that leads, and somebody who hears what is numbered. */
async function heardRelay(t: ExecutionContext) {
  const relays = await testRelay(t);
  const nats = relays.link(required('NATS_URL'));
  const heard: number[] = [];
  const bodies: string[] = [];
  let messages = 0;
  let malformed = 0;
  const ignored: string[] = [];
  const live = Promise.withResolvers<void>();
  const hearing = subscribeBroadcasts(nats, {
    subjectPrefix: relays.stream.subjectPrefix,
    services: ['project'],
    onBatch: (_service, { events }) => {
      messages++;
      heard.push(...events.map(({ sequence }) => sequence));
      bodies.push(...events.map(({ bodyJson }) => bodyJson));
    },
    onMalformed: () => malformed++,
    findSecret: (keyId) => (keyId === testKey.id ? testKey.secret : undefined),
    onIgnored: (_subject, reason) => ignored.push(reason),
    onLive: live.resolve,
    log: silentLogger(),
  });
  t.teardown(() => hearing[Symbol.dispose]());
  await live.promise;
  relays.start('a');
  const holds = (last: number) =>
    eventually(async () => {
      if (sequencesOf(await relays.messages()).at(-1) !== last) throw new Error('not yet');
    });
  // The relay leads from here on.
  await relays.decide(1);
  await holds(1);
  const from = heard.at(-1) ?? 1;
  return {
    ...{ relays, nats, bodies, holds, from, ignored },
    heard: () => heard.filter((sequence) => sequence > from),
    messages: () => messages,
    malformed: () => malformed,
    untilHeard: (last: number) =>
      eventually(() => {
        if (heard.at(-1) !== last) throw new Error(`heard ${heard.join(' ')}`);
      }),
  };
}

test('a sequenced event is broadcast once, whatever is published again in the stream', async (t) => {
  const { relays, holds, heard, untilHeard } = await heardRelay(t);
  await relays.decide(9);
  await untilHeard(10);
  await holds(10);
  await relays.admin((manager) => manager.streams.delete(relays.stream.name));
  await holds(10);
  await relays.decide(1);
  await untilHeard(11);
  t.deepEqual(heard(), range(2, 11));
});

test('a batch that is too long for one message is sent in several', async (t) => {
  const { relays, heard, bodies, messages, untilHeard } = await heardRelay(t);
  const before = messages();
  const text = 'x'.repeat(100_000);
  await relays.eventLog.decide(mutation(), async (tx) => {
    for (let index = 0; index < 30; index++) {
      tx.emit({ event: 'updated', subject: 'prj_1', body: { text } });
    }
  });
  await relays.eventLog.head(AbortSignal.timeout(60_000));
  await untilHeard(31);
  t.deepEqual(heard(), range(2, 31));
  t.true(bodies.slice(-30).every((body) => body === JSON.stringify({ text })));
  t.true(messages() - before >= 3, 'the server takes a megabyte at once');
});

test('an authentic message that is not an event batch is reported as malformed', async (t) => {
  const { relays, nats, heard, malformed } = await heardRelay(t);
  const subject = `numbered.${relays.stream.subjectPrefix}.project`;
  nats.publish(subject, sealMessage(testKey, subject, Buffer.from('{"no":"page"}')));
  nats.publish(subject, sealMessage(testKey, subject, Buffer.alloc(0)));
  await eventually(() => {
    if (malformed() !== 2) throw new Error(`${malformed()}`);
  });
  t.deepEqual(heard(), []);
});

test('a message that is not authentic is ignored, and counted by why', async (t) => {
  const { relays, nats, heard, malformed, ignored } = await heardRelay(t);
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
  t.deepEqual(heard(), []);
});
