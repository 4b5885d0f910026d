import test from 'ava';
import { MongoClient } from 'mongodb';
import { required } from '../../../test/harness/environment.ts';
import { eventually } from '../../../test/harness/eventually.ts';
import { endDeadTransactions } from '../dead-transactions.ts';
import { indexMigration } from '../indexes.ts';
import { transact } from '../transaction-retry.ts';
import { prepare, testDatabase } from './support.ts';

/** A little less than the 10 s that servers in tests use. */
const limitMs = 9_000;
/** A transaction without a statement for this time is ended. */
const standsStillMs = 1_000;

type Counter = { _id: string; value: number };

test('locks of a dead process are released long before the server would end its transaction', async (t) => {
  const { name, connect } = await testDatabase(t);
  const { client, db } = await connect();
  await prepare(db, [indexMigration('indexes', { counters: [] })]);
  const counters = db.collection<Counter>('counters');
  await counters.insertOne({ _id: 'log', value: 0 });
  const increment = { $inc: { value: 1 } };

  let isInTime = false;
  for (let round = 1; round <= 10 && !isInTime; round++) {
    const fromMs = performance.now();
    const left = await abandoned(name, name);
    t.teardown(() => left.client.close());
    const other = await abandoned(name, 'another-application', `others ${round}`);
    t.teardown(() => other.client.close());

    await transact(client, { signal: AbortSignal.timeout(600_000) }, (session) =>
      counters.updateOne({ _id: 'log' }, increment, { session }),
    );
    t.like(await counters.findOne({ _id: 'log' }), { value: round });
    await t.throwsAsync(left.session.commitTransaction(), { message: /has been aborted|NoSuch/ });
    // Not ended by the server's own limit, which would have ended this one too.
    const committed = await Promise.allSettled([other.session.commitTransaction()]);
    isInTime = performance.now() - fromMs < limitMs;
    if (isInTime) t.is(committed[0].status, 'fulfilled');
  }
  t.true(isInTime, 'each time it was the server that ended the transaction');
});

test('a transaction that makes progress is left alone, however slow it is', async (t) => {
  const { name, connect } = await testDatabase(t);
  const { client, db } = await connect();
  await prepare(db, [indexMigration('indexes', { counters: [] })]);
  // The server itself ends a transaction after 10 s, which this one may take on a slow machine.
  const ended = await eventually(async () => {
    const left = await abandoned(name, name);
    t.teardown(() => left.client.close());
    const counts: number[] = [await endDeadTransactions(client)];
    while (counts.length < 3 && !counts.includes(1)) {
      await standsStill(left);
      await left.increment();
      counts.push(await endDeadTransactions(client));
    }
    return counts;
  });
  t.deepEqual(ended, [0, 0, 0]);
});

type Abandoned = Awaited<ReturnType<typeof abandoned>>;

/** Waits until the transaction has waited for this total time, or has ended. */
async function standsStill({ client, session }: Abandoned): Promise<void> {
  const isThis = { type: 'idleSession', 'lsid.id': session.id?.id };
  const stages = [{ $currentOp: { idleSessions: true } }, { $match: isThis }];
  await eventually(async () => {
    const [found] = await client.db('admin').aggregate(stages).toArray();
    if (found && found.transaction.timeInactiveMicros < standsStillMs * 1_000) {
      throw new Error('not yet');
    }
  });
}

/** A transaction without progress, of a process with this name. */
async function abandoned(database: string, appName: string, _id = 'log') {
  const client = new MongoClient(required('MONGODB_URL'), { appName });
  const session = client.startSession();
  session.startTransaction({ writeConcern: { w: 'majority' } });
  const counters = client.db(database).collection<Counter>('counters');
  const increment = () =>
    counters.updateOne({ _id }, { $inc: { value: 1 } }, { session, upsert: true });
  await increment();
  return { client, session, increment };
}
