import { SiloError } from '@silo/errors/silo-error.ts';
import { prepare } from '@silo/mongo/test/support.ts';
import test, { type ExecutionContext } from 'ava';
import type { EventLog } from '../event-log.ts';
import type { LoggedEvent } from '../log-reader.ts';
import { logMigrations } from '../set-up.ts';
import { eventBytesMax } from '../stored-events.ts';
import { mutation, testEventLog } from './support.ts';

const forever = () => AbortSignal.timeout(600_000);

async function emitOne(
  eventLog: EventLog,
  body: unknown = {},
  { awaitsPosition = false }: { awaitsPosition?: boolean } = {},
): Promise<string[]> {
  const { eventIds } = await eventLog.decide(mutation({ awaitsPosition }), async (tx) => {
    await tx.db.collection('things').insertOne({}, { session: tx.session });
    tx.emit({ event: 'updated', subject: 'prj_1', body });
  });
  return eventIds;
}

async function readAll(eventLog: EventLog): Promise<readonly LoggedEvent[]> {
  await eventLog.head(forever());
  const { events } = await eventLog.read({ afterSequence: 0, limit: 10_000 });
  return events;
}

// With two writers, each is alone in its process, and sequences in the deciding transaction.
for (const { writerCount, turnCount } of [
  { writerCount: 32, turnCount: 10 },
  { writerCount: 2, turnCount: 60 },
]) {
  test(`sequences have no gaps and no repeats while ${writerCount} writers of two processes race`, (t) =>
    raceWriters(t, writerCount, turnCount));
}

async function raceWriters(t: ExecutionContext, writerCount: number, turnCount: number) {
  const { connection, eventLog, another } = await testEventLog(t);
  await connection.db.createCollection('things');
  const logs = [eventLog, await another()];
  const positions: number[] = [];
  const writers = Array.from({ length: writerCount }, async (_, writer) => {
    const log = logs[writer % 2] ?? eventLog;
    for (let turn = 0; turn < turnCount; turn++) {
      const eventIds = await emitOne(log, { writer, turn }, { awaitsPosition: turn % 3 > 0 });
      positions.push((await log.position(eventIds, forever())).sequence);
    }
  });
  await Promise.all(writers);
  const events = await readAll(eventLog);
  const count = writerCount * turnCount;
  const expected = Array.from({ length: count }, (_, index) => index + 1);
  t.deepEqual(
    events.map(({ sequence }) => sequence),
    expected,
  );
  t.deepEqual(
    positions.toSorted((a, b) => a - b),
    expected,
  );
  t.is(new Set(events.map(({ id }) => id)).size, count);
  t.is(await connection.db.collection('outbox').countDocuments(), 0);
  for (let writer = 0; writer < writerCount; writer++) {
    const turns = events
      .map(({ bodyJson }) => JSON.parse(bodyJson))
      .filter((b) => b.writer === writer);
    t.deepEqual(
      turns.map(({ turn }) => turn),
      turns.map((_, index) => index),
      'a writer’s later event has the higher sequence',
    );
  }
}

test('a call that is alone and awaits its position gets it with the decision', async (t) => {
  const { connection, eventLog } = await testEventLog(t);
  const outbox = connection.db.collection('outbox');
  t.is(eventLog.recent({ afterSequence: 0, limit: 10 }), undefined);
  await emitOne(eventLog, { turn: 1 }, { awaitsPosition: true });
  t.is(await outbox.countDocuments(), 0);
  const page = eventLog.recent({ afterSequence: 0, limit: 10 });
  t.deepEqual(page, await eventLog.read({ afterSequence: 0, limit: 10 }));
  t.is(page?.events.length, 1);
  t.is(eventLog.recent({ afterSequence: 1, limit: 10 }), undefined, 'no event follows yet');
});

test('a call that awaits its position is sequenced after the events that wait already', async (t) => {
  const { connection, eventLog, another } = await testEventLog(t);
  const dying = await another({ sequencesOwn: false });
  await emitOne(dying, { turn: 1 });
  const eventIds = await emitOne(eventLog, { turn: 2 }, { awaitsPosition: true });
  t.is((await eventLog.position(eventIds, forever())).sequence, 2);
  const turns = (await readAll(eventLog)).map(({ bodyJson }) => JSON.parse(bodyJson).turn);
  t.deepEqual(turns, [1, 2]);
  t.is(await connection.db.collection('outbox').countDocuments(), 0);
});

test('events sequenced by other processes are not returned from memory', async (t) => {
  const { eventLog, another } = await testEventLog(t);
  const other = await another();
  for (const [turn, log] of [eventLog, other, eventLog].entries()) {
    await emitOne(log, { turn }, { awaitsPosition: true });
  }
  t.is(eventLog.recent({ afterSequence: 0, limit: 10 }), undefined);
  t.is(eventLog.recent({ afterSequence: 1, limit: 10 }), undefined);
  t.is(eventLog.recent({ afterSequence: 2, limit: 10 })?.events.length, 1);
});

test('a cause has a smaller sequence than its effect, whichever processes decide them', async (t) => {
  const { connection, eventLog, another } = await testEventLog(t);
  const logs = [eventLog, await another(), await another({ sequencesOwn: false })];
  const things = connection.db.collection<{ _id: string; version: number }>('things');
  await things.insertOne({ _id: 'shared', version: 0 });
  const writers = Array.from({ length: 6 }, async (_, writer) => {
    const log = logs[writer % 3] ?? eventLog;
    for (let turn = 0; turn < 25; turn++) {
      const awaitsPosition = turn % 2 === 0;
      await log.decide(mutation({ awaitsPosition }), async (tx) => {
        const after = await tx.db
          .collection<{ _id: string; version: number }>('things')
          .findOneAndUpdate(
            { _id: 'shared' },
            { $inc: { version: 1 } },
            { session: tx.session, returnDocument: 'after' },
          );
        tx.emit({ event: 'updated', subject: 'prj_1', body: { version: after?.version } });
      });
    }
  });
  await Promise.all(writers);
  const versions = (await readAll(eventLog)).map(({ bodyJson }) => JSON.parse(bodyJson).version);
  t.deepEqual(
    versions,
    Array.from({ length: 150 }, (_, index) => index + 1),
  );
});

test('events of one transaction stay together, in the order in which they were emitted', async (t) => {
  const { eventLog } = await testEventLog(t);
  await Promise.all(
    Array.from({ length: 10 }, (_, group) =>
      eventLog.decide(mutation(), async (tx) => {
        for (let place = 0; place < 5; place++) {
          tx.emit({ event: 'updated', subject: 'prj_1', body: { group, place } });
        }
      }),
    ),
  );
  const bodies = (await readAll(eventLog)).map(({ bodyJson }) => JSON.parse(bodyJson));
  t.is(bodies.length, 50);
  bodies.forEach((body, index) => {
    t.is(body.place, index % 5);
    t.is(body.group, bodies[index - body.place].group);
  });
});

test('events that a process decided before it died are sequenced by another process', async (t) => {
  const { eventLog, another } = await testEventLog(t);
  const dying = await another({ sequencesOwn: false });
  const eventIds = await emitOne(dying);
  t.is((await eventLog.read({ afterSequence: 0, limit: 1 })).head.sequence, 0);
  t.is((await eventLog.head(forever())).sequence, 1);
  const place = await eventLog.position(eventIds, forever());
  t.deepEqual(place, await eventLog.head(forever()));
  t.deepEqual(
    await dying.position(eventIds, forever()),
    place,
    'the position that another process gave',
  );
  await emitOne(dying);
  await eventLog.sequenceOrphanedEvents();
  t.is((await eventLog.head(forever())).sequence, 2);
});

test('an event has the actor, the time and the correlation id of its transaction', async (t) => {
  const { eventLog } = await testEventLog(t);
  const decided = mutation({ account: 'acc_7' });
  let now = new Date(0);
  await eventLog.decide(decided, async (tx) => {
    now = tx.now;
    tx.emit({ event: 'moved', subject: 'prj_1', body: { name: 'ä $where a.b' } });
  });
  const [event] = await readAll(eventLog);
  t.like(event, {
    sequence: 1,
    type: 'internal.silo.project.moved.v1',
    subject: 'prj_1',
    time: now,
    actor: 'acc_7',
    correlationId: decided.id,
    bodyJson: '{"name":"ä $where a.b"}',
  });
  t.regex(event?.id ?? '', /^[0-7][0-9a-z]{25}$/);
});

test('a refusal in the body leaves no state and no event', async (t) => {
  const { connection, eventLog } = await testEventLog(t);
  const refusal = new SiloError({ code: 9, reason: 17, message: 'refused' });
  const refused = eventLog.decide(mutation(), async (tx) => {
    await tx.db.collection('things').insertOne({}, { session: tx.session });
    tx.emit({ event: 'updated', subject: 'prj_1', body: {} });
    throw refusal;
  });
  t.is(await t.throwsAsync(refused), refusal);
  t.is(await connection.db.collection('things').countDocuments(), 0);
  t.deepEqual(await readAll(eventLog), []);
});

test('reading continues from any position, and reports if the next event was deleted', async (t) => {
  const { connection, eventLog } = await testEventLog(t);
  for (let turn = 0; turn < 5; turn++) await emitOne(eventLog);
  await eventLog.head(forever());
  const page = await eventLog.read({ afterSequence: 1, limit: 2 });
  t.deepEqual(
    page.events.map(({ sequence }) => sequence),
    [2, 3],
  );
  t.is(page.head.sequence, 5);
  t.deepEqual((await eventLog.read({ afterSequence: 5, limit: 10 })).events, []);

  const events = connection.db.collection<{ _id: number }>('events');
  await events.deleteMany({ _id: { $lte: 2 } }, { writeConcern: { w: 'majority' } });
  for (const [afterSequence, first] of [
    [0, 3],
    [1, 3],
  ] as const) {
    const { events: none, firstSequence } = await eventLog.read({ afterSequence, limit: 10 });
    t.deepEqual(none, []);
    t.is(firstSequence, first);
  }
  t.is((await eventLog.read({ afterSequence: 2, limit: 10 })).events.length, 3);
  await events.deleteMany({ _id: 4 }, { writeConcern: { w: 'majority' } });
  t.is((await eventLog.read({ afterSequence: 2, limit: 10 })).events.length, 1, 'up to the gap');
  await events.deleteMany({}, { writeConcern: { w: 'majority' } });
  t.is((await eventLog.read({ afterSequence: 4, limit: 10 })).firstSequence, 6);
  const { events: none, head } = await eventLog.read({ afterSequence: 0, limit: 0 });
  t.deepEqual(none, []);
  t.is(head.sequence, 5);
});

test('the outbox is sequenced in transactions bounded by bytes, and each event once', async (t) => {
  const { eventLog, another } = await testEventLog(t);
  const idle = await another({ sequencesOwn: false });
  const text = 'x'.repeat(100_000);
  for (let turn = 0; turn < 180; turn++) {
    await idle.decide(mutation(), async (tx) => {
      tx.emit({ event: 'updated', subject: 'prj_1', body: { turn, text } });
    });
  }
  // 18 MB wait, more than one reply of MongoDB can hold.
  const head = await eventLog.head(forever());
  t.is(head.sequence, 180);
  const turns: number[] = [];
  let afterSequence = 0;
  while (afterSequence < head.sequence) {
    const { events } = await eventLog.read({ afterSequence, limit: 1_000 });
    t.true(events.length <= 10);
    turns.push(...events.map(({ bodyJson }) => JSON.parse(bodyJson).turn));
    afterSequence += events.length;
  }
  t.deepEqual(turns, [...turns.keys()]);
});

test('an event larger than the broker accepts is not decided', async (t) => {
  const { eventLog } = await testEventLog(t);
  const decide = (length: number) =>
    eventLog.decide(mutation(), async (tx) => {
      tx.emit({ event: 'updated', subject: 'prj_1', body: 'x'.repeat(length) });
    });
  await decide(eventBytesMax - 2_000);
  await t.throwsAsync(decide(eventBytesMax), { instanceOf: RangeError });
  t.is((await eventLog.head(forever())).sequence, 1);
});

test('the oldest event since a time is found', async (t) => {
  const { connection, eventLog } = await testEventLog(t);
  for (let turn = 0; turn < 4; turn++) await emitOne(eventLog);
  await eventLog.head(forever());
  const hour = 3_600_000;
  await connection.db
    .collection<{ _id: number }>('events')
    .updateMany(
      { _id: { $lte: 2 } },
      { $set: { time: new Date(Date.now() - hour) } },
      { writeConcern: { w: 'majority' } },
    );
  t.is(await eventLog.firstSequenceSince(new Date(0)), 1);
  t.is(await eventLog.firstSequenceSince(new Date(Date.now() - hour / 2)), 3);
  t.is(await eventLog.firstSequenceSince(new Date(Date.now() + hour)), 5);
});

test('a new head becomes known in the process that sequenced, and in the others', async (t) => {
  const { eventLog, another } = await testEventLog(t);
  const other = await another();
  await emitOne(eventLog);
  const startedMs = performance.now();
  await Promise.all([eventLog.wait(0, 600_000, forever()), other.wait(0, 600_000, forever())]);
  await other.wait(0, 600_000, forever());
  t.true(performance.now() - startedMs < 600_000, 'none waited for its timeout');
});

test('preparing a database twice at once, and again later, changes nothing', async (t) => {
  const { connection, eventLog } = await testEventLog(t);
  await emitOne(eventLog);
  const before = await eventLog.head(forever());
  await Promise.all([prepare(connection.db, logMigrations), prepare(connection.db, logMigrations)]);
  t.deepEqual(await eventLog.head(forever()), before);
  t.is(before.sequence, 1);
  t.truthy(before.incarnation);
});
