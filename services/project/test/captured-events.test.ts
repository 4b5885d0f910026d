import { newId } from '@silo/tokens/ids.ts';
import test from 'ava';
import { MongoServerError } from 'mongodb';
import { createCapturedEventStore } from '../store/captured-events.ts';
import { captured, heldPermit, insert } from './event-support.ts';
import { refusalOf, testWorld } from './support.ts';

test('a purge removes every event of the project and none of another', async (t) => {
  const { db, captured: store } = await testWorld(t);
  const signal = AbortSignal.timeout(600_000);
  const [gone, kept] = [newId('prj'), newId('prj')];
  await insert(
    store,
    gone,
    Array.from({ length: 1_200 }, () => captured({})),
  );
  await insert(store, kept, [captured({})]);
  await store.purge(gone, signal);
  const left = await db.collection('captured_events').find().toArray();
  t.deepEqual(
    left.map(({ _id }) => (_id as unknown as { project: string }).project),
    [kept],
  );
});

test('the same event in concurrent batches is stored once', async (t) => {
  const { captured: store } = await testWorld(t);
  const projectId = newId('prj');
  const batch = Array.from({ length: 100 }, () => captured({}));
  const again = () => insert(store, projectId, batch);
  const answers = await Promise.all([again(), again(), again()]);
  for (const [index] of batch.entries()) {
    t.is(answers.filter((duplicates) => !duplicates[index]).length, 1);
  }
});

test('the outcome of a commit that is answered after its permit has expired is unknown', async (t) => {
  const { captured: store, db } = await testWorld(t);
  const projectId = newId('prj');
  let checks = 0;
  // Checked before the first statement and before the commit.
  const permit = { ...heldPermit, remainingMs: () => (++checks <= 2 ? 30_000 : 0) };
  const event = captured({});
  await t.throwsAsync(insert(store, projectId, [event], { permit }), { name: 'OutcomeUnknown' });
  t.is(await db.collection('captured_events').countDocuments(), 1);
  t.deepEqual(await insert(store, projectId, [event]), [true]);
});

test('events that MongoDB does not store in time are refused with DEPENDENCY_UNAVAILABLE', async (t) => {
  const { db } = await testWorld(t);
  const add = async () => {
    throw new MongoServerError({ message: 'operation exceeded time limit', code: 50 });
  };
  const free = async () => {};
  const store = createCapturedEventStore(db, { asWriter: (work) => work('w'), add }, { free });
  const refusal = await refusalOf(insert(store, newId('prj'), [captured({})]));
  t.is(refusal.reasonName, 'DEPENDENCY_UNAVAILABLE');
  t.is(await db.collection('captured_events').countDocuments(), 0);
});
