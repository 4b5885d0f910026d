import test from 'ava';
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

test('concurrent linearizable reads share one write', async (t) => {
  const { connect } = await testDatabase(t);
  const { db } = await connect();
  const things = db.collection<Thing>('things');
  await things.insertOne({ _id: 1, value: 1 });
  const reads = Array.from({ length: 100 }, () => readLinearizable(things, { _id: 1 }));
  t.true((await Promise.all(reads)).every((found) => found?.value === 1));
  // The first read begins a write; all others came after its start, and share the next one.
  t.like(await db.collection('read_marks').findOne({}), { count: 2 });
});
