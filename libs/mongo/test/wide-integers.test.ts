import test from 'ava';
import type { Document } from 'mongodb';
import { testDatabase } from './support.ts';

const fitting = [2n ** 63n - 1n, -(2n ** 63n), 2n ** 53n + 1n, 0n];
const wide = [2n ** 63n, -(2n ** 63n) - 1n, 2n ** 64n, 10n ** 30n];

test('integers of 64 bits are stored unchanged', async (t) => {
  const { db } = await (await testDatabase(t)).connect();
  const things = db.collection('things');
  await things.insertOne({ fitting, nested: { fitting: { a: fitting[0] } } });
  const stored: Document | null = await things.findOne(
    {},
    { useBigInt64: true, projection: { _id: 0 } },
  );
  t.deepEqual(stored, { fitting, nested: { fitting: { a: fitting[0] } } });
});

for (const value of wide) {
  test(`${value} is refused before it is written, and the connection stays usable`, async (t) => {
    const { client, db } = await (await testDatabase(t)).connect();
    const things = db.collection<{ _id: number; a?: unknown }>('things');
    await things.insertOne({ _id: 1, a: 1n });
    let closed = 0;
    client.on('connectionClosed', () => closed++);
    const refused = { instanceOf: RangeError, message: /64 bits/ };
    for (const a of [value, [value], { b: [{ c: value }] }, new Map([['b', value]])]) {
      await t.throwsAsync(things.insertOne({ _id: 2, a }), refused);
      await t.throwsAsync(things.insertMany([{ _id: 2 }, { _id: 3, a }]), refused);
      await t.throwsAsync(things.updateOne({ _id: 1 }, { $set: { a } }), refused);
      await t.throwsAsync(things.findOneAndReplace({ _id: 1 }, { a }), refused);
      const writes = [{ insertOne: { document: { _id: 2, a } } }];
      await t.throwsAsync(things.bulkWrite(writes), { message: /64 bits/ });
    }
    t.deepEqual(await things.find({}, { useBigInt64: true }).toArray(), [{ _id: 1, a: 1n }]);
    t.is(closed, 0);
  });
}
