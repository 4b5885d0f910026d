import test from 'ava';
import { collectionOptions, readIn } from '../read.ts';
import { testDatabase } from './support.ts';

test('reads in a snapshot session see one point in time, whatever the read concern of their collection', async (t) => {
  const { connect } = await testDatabase(t);
  const { client, db } = await connect();
  const [first, second] = ['first', 'second'].map((name) =>
    db.collection<{ value: number }>(name, collectionOptions),
  );
  await Promise.all([first?.insertOne({ value: 1 }), second?.insertOne({ value: 1 })]);
  const session = client.startSession({ snapshot: true });
  const read = (from = first) => from?.findOne({}, { ...readIn(session), projection: { _id: 0 } });
  t.deepEqual(await read(), { value: 1 });
  await Promise.all([first, second].map((each) => each?.updateMany({}, { $inc: { value: 1 } })));
  t.deepEqual(await Promise.all([read(first), read(second)]), [{ value: 1 }, { value: 1 }]);
  await session.endSession();
});
