import { randomUUID } from 'node:crypto';
import { silentLogger } from '@silo/runtime/log.ts';
import test from 'ava';
import type { Db } from 'mongodb';
import { indexMigration, missingIndexes } from '../indexes.ts';
import { type Migration, migrate } from '../migrations.ts';
import { prepare, testDatabase } from './support.ts';

/** Long enough that no process loses a lease on a busy machine. */
const timing = { leaseMs: 60_000, renewMs: 100, pollMs: 20 };

type Thing = { _id: number; colour?: string; writes?: number };

const things = (db: Db) => db.collection<Thing>('things');

function start(db: Db, migrations: readonly Migration[], signal = AbortSignal.timeout(600_000)) {
  return migrate(db, migrations, { owner: randomUUID(), signal, log: silentLogger(), timing });
}

/** Gives each thing a colour, one after the other. Calls `onStep` before each. */
function colourThings(onStep: () => Promise<void> | void): Migration {
  const plain = { colour: { $exists: false } };
  return {
    name: 'colours',
    isDone: async (db) => (await things(db).countDocuments(plain)) === 0,
    run: async (db, signal) => {
      for await (const { _id } of things(db).find(plain).sort({ _id: 1 })) {
        await onStep();
        signal.throwIfAborted();
        const update = { $set: { colour: 'red' }, $inc: { writes: 1 } };
        await things(db).updateOne({ _id, ...plain }, update);
      }
    },
  };
}

test('if three processes start at once, one of them runs each migration, in order', async (t) => {
  const database = await testDatabase(t);
  const ran: string[] = [];
  const noted = (name: string): Migration => ({
    name,
    isDone: async (db) => (await things(db).countDocuments({ colour: name })) > 0,
    run: async (db) => {
      ran.push(name);
      await things(db).insertOne({ _id: ran.length, colour: name });
    },
  });
  const migrations = [
    indexMigration('indexes', { things: [{ key: { colour: 1 }, unique: true }], empty: [] }),
    noted('first'),
    noted('second'),
  ];
  const processes = await Promise.all([1, 2, 3].map(() => database.connect()));
  await Promise.all(processes.map(({ db }) => start(db, migrations)));
  t.deepEqual(ran, ['first', 'second']);
  const [{ db }] = processes as [(typeof processes)[0]];
  const record = await db.collection('migrations').findOne();
  t.like(record, { fence: 1, owner: '' });
  t.deepEqual(Object.keys(record?.ran), ['indexes', 'first', 'second']);
});

test('another process continues the migration of a process that died', async (t) => {
  const database = await testDatabase(t);
  const [dying, other] = [await database.connect(), await database.connect()];
  await things(dying.db).insertMany([1, 2, 3, 4, 5].map((_id) => ({ _id })));
  const died = Promise.withResolvers<void>();
  let steps = 0;
  const dies = colourThings(async () => {
    steps += 1;
    if (steps < 3) return;
    await dying[Symbol.asyncDispose]();
    died.resolve();
    await new Promise<never>(() => {});
  });
  const stop = new AbortController();
  const first = t.throwsAsync(start(dying.db, [dies], stop.signal));
  await died.promise;
  let further = 0;
  const goesOn = colourThings(() => {
    further += 1;
  });
  const lock = other.db.collection('migrations');
  const held = { owner: { $ne: '' } };
  const latest = { $add: ['$$NOW', timing.leaseMs] };
  const isEnding = { ...held, until: { $type: 'date' }, $expr: { $lte: ['$until', latest] } };
  t.is(await lock.countDocuments(isEnding), 1, 'the lease of a dead process expires');
  await lock.updateOne(held, { $set: { until: new Date(0) } });
  await start(other.db, [goesOn]);
  t.is(further, 3);
  const found = await things(other.db).find().toArray();
  t.deepEqual(new Set(found.map(({ writes }) => writes)), new Set([1]));
  t.like(await other.db.collection('migrations').findOne(), { fence: 2 });
  stop.abort(new Error('it is over'));
  await first;
});

test('a migration that fails ends the start, and the next start repeats it', async (t) => {
  const { db } = await (await testDatabase(t)).connect();
  await things(db).insertOne({ _id: 1 });
  const failing = colourThings(() => {
    throw new TypeError('no paint');
  });
  await t.throwsAsync(start(db, [failing]), { message: 'no paint' });
  await start(db, [colourThings(() => {})]);
  t.like(await things(db).findOne(), { colour: 'red', writes: 1 });
});

test('the next start creates an index again that was dropped', async (t) => {
  const { db } = await (await testDatabase(t)).connect();
  const migrations = [indexMigration('indexes', { things: [{ key: { colour: 1 } }] })];
  await prepare(db, migrations);
  await things(db).dropIndexes();
  await prepare(db, migrations);
  t.true(await things(db).indexExists('colour_1'));
});

test('an index migration is done for both releases after the newer one has run', async (t) => {
  const { connect } = await testDatabase(t);
  const { db } = await connect();
  const [colour, writes] = [{ key: { colour: 1 } }, { key: { writes: 1 } }];
  const former = indexMigration('indexes', { things: [colour] });
  const newer = indexMigration('indexes', { things: [colour, writes], others: [colour] });
  await start(db, [former]);
  t.false(await newer.isDone(db));
  await start(db, [newer]);
  t.true(await former.isDone(db));
  await former.run(db, AbortSignal.timeout(600_000));
  t.true(await newer.isDone(db), 'the record of the newer release is kept');
  await db.collection('others').dropIndex('colour_1');
  t.deepEqual(await missingIndexes(db), [{ collection: 'others', index: '{"colour":1}' }]);
});
