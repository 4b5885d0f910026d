import { errors } from '@silo/errors/errors.ts';
import type { SiloError } from '@silo/errors/silo-error.ts';
import test from 'ava';
import { required } from '../../../test/harness/environment.ts';
import { findAsOfNow } from '../as-of-now.ts';
import { connectMongo } from '../connect.ts';
import { readLinearizable } from '../linearizable.ts';
import { testDatabase } from './support.ts';

type Thing = { _id: number; value: number };

test('a linearizable read sees every write that was acknowledged before it', async (t) => {
  const { connect } = await testDatabase(t);
  const [writer, reader] = [await connect(), await connect()];
  const written = writer.db.collection<Thing>('things');
  const read = reader.db.collection<Thing>('things');
  for (let value = 1; value <= 50; value++) {
    await written.updateOne({ _id: 1 }, { $set: { value } }, { upsert: true });
    const found = await readLinearizable(read, { _id: 1 });
    t.is(found?.value, value);
  }
});

test('linearizable reads that wait at the same time share one write', async (t) => {
  const { connect } = await testDatabase(t);
  const { db } = await connect();
  const things = db.collection<Thing>('things');
  await things.insertOne({ _id: 1, value: 1 });
  const reads = Array.from({ length: 100 }, () => readLinearizable(things, { _id: 1 }));
  t.true((await Promise.all(reads)).every((found) => found?.value === 1));
  // The first read begins a write; all others came after its start, and share the next one.
  t.like(await db.collection('read_marks').findOne({}), { count: 2 });
});

test('a primary that cannot reach a majority answers neither a linearizable read nor a query as of now', async (t) => {
  const { connect, name } = await testDatabase(t);
  const { db } = await connect();
  const admin = await connectMongo({
    url: required('MONGODB_URL'),
    database: 'admin',
    appName: 'fail',
  });
  const failPoint = { configureFailPoint: 'failCommand' };
  const writeConcernError = { code: 64, errmsg: 'waiting for replication timed out' };
  const data = { failCommands: ['update'], writeConcernError, appName: name };
  await admin.db.command({ ...failPoint, mode: 'alwaysOn', data });
  t.teardown(async () => {
    await admin.db.command({ ...failPoint, mode: 'off' });
    await admin[Symbol.asyncDispose]();
  });
  const { reason } = errors.dependencyUnavailable('mongodb');
  const things = db.collection<Thing>('things');
  const refused = await t.throwsAsync<SiloError>(readLinearizable(things, { _id: 1 }));
  t.is(refused?.reason, reason);
  const signal = AbortSignal.timeout(10_000);
  const query = findAsOfNow(things, {}, { projection: {}, signal });
  t.is((await t.throwsAsync<SiloError>(query.next()))?.reason, reason);
});
