import test from 'ava';
import { eventually } from '../../../test/harness/eventually.ts';
import { Pulse } from '../pulse.ts';
import { testDatabase } from './support.ts';

const never = new AbortController().signal;
const aMinuteMs = 60_000;

test('one check ends the waits for places with work, and no others', async (t) => {
  const { connect } = await testDatabase(t);
  const { db } = await connect();
  const pulse = new Pulse(db);
  t.true(await pulse.answersWithin(aMinuteMs));
  const ended: string[] = [];
  const over = new AbortController();
  t.teardown(() => over.abort());
  for (const collection of ['first', 'second', 'third']) {
    const place = { collection, filter: { isDue: true } };
    pulse.wait(place, aMinuteMs, over.signal).then(() => ended.push(collection));
  }
  await db.collection('first').insertMany([{ isDue: true }, { isDue: true }]);
  await db.collection('second').insertOne({ isDue: false });
  t.true(await pulse.answersWithin(aMinuteMs));
  await eventually(() => requireCount(ended, 1));
  t.deepEqual(ended, ['first']);
  await db.collection('third').insertOne({ isDue: true });
  t.true(await pulse.answersWithin(aMinuteMs));
  await eventually(() => requireCount(ended, 2));
  t.deepEqual(ended, ['first', 'third']);
});

test('a wait for a place without work ends after its time, or with the signal', async (t) => {
  const { connect } = await testDatabase(t);
  const { db } = await connect();
  const pulse = new Pulse(db);
  const place = { collection: 'things', filter: {} };
  await pulse.wait(place, 1, never);
  await pulse.wait(place, aMinuteMs, AbortSignal.abort());
  const over = new AbortController();
  const wait = pulse.wait(place, aMinuteMs, over.signal);
  over.abort();
  await wait;
  t.true(await pulse.answersWithin(aMinuteMs));
});

test('a database that does not answer is noticed in time', async (t) => {
  const { connect } = await testDatabase(t);
  const { client, db } = await connect();
  await client.close();
  // Only a closed client rejects in this process.
  t.false(await new Pulse(db).answersWithin(aMinuteMs));
});

function requireCount(ended: readonly string[], count: number): void {
  if (ended.length < count) throw new Error(`${ended.length} waits have ended`);
}
