import test from 'ava';
import { MongoClient } from 'mongodb';
import { required } from '../../../test/harness/environment.ts';
import { eventually } from '../../../test/harness/eventually.ts';
import { endDeadTransactions } from '../dead-transactions.ts';
import { indexMigration } from '../indexes.ts';
import { transact } from '../transaction-retry.ts';
import { prepare, testDatabase } from './support.ts';

type Counter = { _id: string; value: number };

test('what a dead process has locked is free again long before the server would give it up', async (t) => {
  const { name, connect } = await testDatabase(t);
  const { client, db } = await connect();
  await prepare(db, [indexMigration('indexes', { counters: [] })]);
  const counters = db.collection<Counter>('counters');
  await counters.insertOne({ _id: 'log', value: 0 });
  const increment = { $inc: { value: 1 } };

  const left = await abandoned(name, name);
  t.teardown(() => left.client.close());
  const other = await abandoned(name, 'another-application', 'others');
  t.teardown(() => other.client.close());

  await transact(client, { signal: AbortSignal.timeout(30_000) }, (session) =>
    counters.updateOne({ _id: 'log' }, increment, { session }),
  );
  t.like(await counters.findOne({ _id: 'log' }), { value: 1 });
  await t.throwsAsync(left.session.commitTransaction(), { message: /has been aborted|NoSuch/ });
  // Not by the server's own limit, which would have ended this one too.
  await other.session.commitTransaction();
});

test('a transaction that goes on is left alone, and one that stands still is ended', async (t) => {
  const { name, connect } = await testDatabase(t);
  const { client, db } = await connect();
  await prepare(db, [indexMigration('indexes', { counters: [] })]);
  const left = await abandoned(name, name);
  t.teardown(() => left.client.close());
  t.is(await endDeadTransactions(client), 0);
  await eventually(async () => {
    if ((await endDeadTransactions(client)) !== 1) throw new Error('not yet');
  });
});

/** A transaction in which nothing happens any more, of a process by that name. */
async function abandoned(database: string, appName: string, _id = 'log') {
  const client = new MongoClient(required('MONGODB_URL'), { appName });
  const session = client.startSession();
  session.startTransaction({ writeConcern: { w: 'majority' } });
  await client
    .db(database)
    .collection<Counter>('counters')
    .updateOne({ _id }, { $inc: { value: 1 } }, { session, upsert: true });
  return { client, session };
}
