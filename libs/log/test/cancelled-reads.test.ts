import { randomUUID } from 'node:crypto';
import { findAsOfNow } from '@silo/mongo/as-of-now.ts';
import { readLinearizable } from '@silo/mongo/linearizable.ts';
import { readPage } from '@silo/mongo/page.ts';
import { bounded, reading } from '@silo/mongo/read.ts';
import { prepare } from '@silo/mongo/test/support.ts';
import { systemClock } from '@silo/runtime/clock.ts';
import { silentLogger } from '@silo/runtime/log.ts';
import test, { type ExecutionContext } from 'ava';
import { type Db, MongoClient } from 'mongodb';
import { required } from '../../../test/harness/environment.ts';
import { createEventLog, type EventLog } from '../event-log.ts';
import { logMigrations } from '../set-up.ts';

const readsCount = 20;

type World = { client: MongoClient; db: Db; eventLog: EventLog };

/** An event log whose client reports its commands. */
async function open(t: ExecutionContext): Promise<World> {
  const client = new MongoClient(required('MONGODB_URL'), { monitorCommands: true });
  const db = client.db(`cancelled_${randomUUID().slice(0, 8)}`);
  await prepare(db, logMigrations);
  const shared = { service: 'project', region: 'us', clock: systemClock } as const;
  const eventLog = createEventLog({ client, db, ...shared, log: silentLogger() });
  t.teardown(async () => {
    await eventLog[Symbol.asyncDispose]();
    await db.dropDatabase();
    await client.close();
  });
  return { client, db, eventLog };
}

type Read = (world: World, signal: AbortSignal) => Promise<unknown>;

/** Every way in which a store or an event log reads for a caller that may disconnect. */
const reads: Record<string, Read> = {
  'a find': ({ db }, signal) => reading(db.collection('log').find({}, bounded).toArray(), signal),
  'an aggregate': ({ db }, signal) =>
    reading(db.collection('log').aggregate([], bounded).toArray(), signal),
  'a page': ({ db }, signal) => readPage(db.collection('log').find({}, bounded), 10, signal),
  'a linearizable read': ({ db }, signal) => readLinearizable(db.collection('log'), {}, { signal }),
  'a query as of now': async ({ db }, signal) => {
    const found = findAsOfNow(db.collection('log'), {}, { projection: { _id: 1 }, signal });
    for await (const batch of found) if (batch.length > 1_000) return;
  },
  'the head of a log': ({ eventLog }, signal) => eventLog.head(signal),
  'events of a log': ({ eventLog }, signal) =>
    eventLog.read({ afterSequence: 0, limit: 10 }, signal),
  'the oldest event since': ({ eventLog }, signal) =>
    eventLog.firstSequenceSince(new Date(0), signal),
};

/**
 * Resolves with the number of closed connections, when all connections in use have been returned.
 */
async function closedDuring(client: MongoClient, work: () => Promise<void>): Promise<number> {
  let closed = 0;
  let inUse = 0;
  const settled = Promise.withResolvers<void>();
  client.on('connectionClosed', () => closed++);
  client.on('connectionCheckedOut', () => inUse++);
  client.on('connectionCheckedIn', () => {
    if (--inUse === 0) settled.resolve();
  });
  await work();
  if (inUse > 0) await settled.promise;
  return closed;
}

async function cancelWhileSent(t: ExecutionContext, read: Read): Promise<void> {
  const world = await open(t);
  const { client } = world;
  const closed = await closedDuring(client, async () => {
    for (let index = 0; index < readsCount; index++) {
      const controller = new AbortController();
      // When the command is sent, its answer has not arrived yet.
      client.once('commandStarted', () =>
        controller.abort(new Error('the caller has disconnected')),
      );
      const cancelled = read(world, controller.signal);
      await t.throwsAsync(cancelled, { message: 'the caller has disconnected' });
    }
  });
  t.is(closed, 0);
}

for (const [what, read] of Object.entries(reads)) {
  test(`${what} whose caller disconnects keeps its connection, ${readsCount} of ${readsCount} times`, (t) =>
    cancelWhileSent(t, read));
}

test('the harness detects that a signal given to the driver closes connections', async (t) => {
  const { client, db } = await open(t);
  const closed = await closedDuring(client, async () => {
    const controller = new AbortController();
    client.once('commandStarted', () => controller.abort(new Error('the caller has disconnected')));
    const given = { ...bounded, signal: controller.signal };
    await t.throwsAsync(db.collection('log').findOne({}, given));
  });
  t.is(closed, 1);
});
