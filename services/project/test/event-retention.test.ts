import { connectMongo } from '@silo/mongo/connect.ts';
import { ProjectState } from '@silo/protos/gen/silo/project/v1/project.ts';
import { silentLogger } from '@silo/runtime/log.ts';
import { newId } from '@silo/tokens/ids.ts';
import test from 'ava';
import { required } from '../../../test/harness/environment.ts';
import { eventually } from '../../../test/harness/eventually.ts';
import { endDue } from '../loops/end-retention.ts';
import { checkFilter } from '../rules/events/filter.ts';
import { keptSince, since } from '../rules/events/retention.ts';
import { createRetentionStore, type RetentionStore } from '../store/retention.ts';
import { captured, insert, receiveTime, stagesOf } from './event-support.ts';
import { testWorld } from './support.ts';

const dayMs = 24 * 60 * 60 * 1000;
const { signal } = new AbortController();
const clock = { now: () => receiveTime, monotonicMs: () => 0 };

type ProjectOfTest = {
  _id: string;
  state: number;
  settings: { retentionDays?: number | undefined };
  expiredBefore?: Date;
};

test('a filter begins at the start of the retention, unless it begins later', (t) => {
  t.is(keptSince(0, receiveTime), undefined);
  const kept = keptSince(2, receiveTime);
  t.is(kept?.getTime(), receiveTime.getTime() - 2 * dayMs);
  const all = checkFilter(undefined);
  t.is(since(all, undefined), all);
  t.deepEqual(since(all, kept).startTime, kept);
  const earlier = { ...all, startTime: new Date(receiveTime.getTime() - 3 * dayMs) };
  t.deepEqual(since(earlier, kept).startTime, kept);
  const later = { ...all, startTime: receiveTime };
  t.is(since(later, kept), later);
});

test('only events that exceed the retention of their project are removed', async (t) => {
  const { db, captured: store } = await testWorld(t);
  const retention = createRetentionStore(db);
  const projects = db.collection<ProjectOfTest>('projects');
  const kept = new Map<string, number>();
  for (const retentionDays of [undefined, 0, 1, 2, 1]) {
    const projectId = newId('prj');
    const state = ProjectState.PROJECT_STATE_ACTIVE;
    await projects.insertOne({ _id: projectId, state, settings: { retentionDays } });
    const batch = Array.from({ length: 700 }, () => captured({}, -1.5 * dayMs));
    await insert(store, projectId, [...batch, captured({}, -dayMs), captured({}, 1 - dayMs)]);
    kept.set(projectId, retentionDays === 1 ? 2 : 702);
  }
  const dependencies = { retention, clock, log: silentLogger() };
  await Promise.all([endDue(dependencies, signal), endDue(dependencies, signal)]);
  for (const [projectId, count] of kept) {
    const left = { '_id.project': projectId } as object;
    t.is(await db.collection('captured_events').countDocuments(left), count);
  }
});

test('a process whose clock is ahead removes no events too early', async (t) => {
  const { db, captured: store } = await testWorld(t);
  const retention = createRetentionStore(db);
  const projects = db.collection<ProjectOfTest>('projects');
  const projectId = newId('prj');
  const state = ProjectState.PROJECT_STATE_ACTIVE;
  await projects.insertOne({ _id: projectId, state, settings: { retentionDays: 2 } });
  const sinceReceiptMs = Date.now() - receiveTime.getTime();
  const batch = [-1.5, -2.5].map((days) => captured({}, sinceReceiptMs + days * dayMs));
  await insert(store, projectId, batch);
  const ahead = { ...clock, now: () => new Date(Date.now() + 10 * dayMs) };
  await endDue({ retention, clock: ahead, log: silentLogger() }, signal);
  const left = await db.collection('captured_events').find().toArray();
  t.deepEqual(
    left.map(({ time }) => time),
    [batch[0]?.time],
  );
  const { expiredBefore = new Date() } = (await projects.findOne({ _id: projectId })) ?? {};
  t.true(expiredBefore.getTime() <= Date.now() - 2 * dayMs);
});

test('nothing is removed if the setting has changed since it was read', async (t) => {
  const { db, captured: store } = await testWorld(t);
  const retention = createRetentionStore(db);
  const projects = db.collection<ProjectOfTest>('projects');
  const projectId = newId('prj');
  const state = ProjectState.PROJECT_STATE_ACTIVE;
  await projects.insertOne({ _id: projectId, state, settings: { retentionDays: 1 } });
  await insert(store, projectId, [captured({}, -1.5 * dayMs)]);
  const next: RetentionStore['next'] = async (afterId, signal) => {
    const some = await retention.next(afterId, signal);
    await projects.updateOne({ _id: projectId }, { $set: { 'settings.retentionDays': 2 } });
    return some;
  };
  await endDue({ retention: { ...retention, next }, clock, log: silentLogger() }, signal);
  t.is(await db.collection('captured_events').countDocuments(), 1);
  t.is((await projects.findOne({ _id: projectId }))?.expiredBefore, undefined);
});

test('a removal ends when its project begins to keep its events', async (t) => {
  const { db, captured: store } = await testWorld(t);
  const retention = createRetentionStore(db);
  const projects = db.collection<ProjectOfTest>('projects');
  const events = db.collection('captured_events');
  const projectId = newId('prj');
  const state = ProjectState.PROJECT_STATE_ACTIVE;
  await projects.insertOne({ _id: projectId, state, settings: { retentionDays: 1 } });
  const batch = Array.from({ length: 700 }, (_, index) => captured({}, -2 * dayMs + index));
  await insert(store, projectId, batch);
  // With another app name: a removal ends idle transactions of its own app name.
  const located = { url: required('MONGODB_URL'), database: db.databaseName, appName: 'holder' };
  await using holder = await connectMongo(located);
  const session = holder.client.startSession();
  session.startTransaction();
  const last = { time: new Date(receiveTime.getTime() - 2 * dayMs) };
  const heldEvents = holder.db.collection('captured_events');
  const held = await heldEvents.updateOne(last, { $set: { held: true } }, { session });
  t.is(held.modifiedCount, 1, 'the second batch of the removal keeps retrying');
  const removal = endDue({ retention, clock, log: silentLogger() }, signal);
  await eventually(async () => {
    const left = await events.countDocuments();
    if (left !== 200) throw new Error(`${left} events are left`);
  });
  await projects.updateOne({ _id: projectId }, { $unset: { 'settings.retentionDays': '' } });
  await session.abortTransaction();
  await session.endSession();
  await removal;
  t.is(await events.countDocuments(), 200);
});

test('projects take turns, so that one with many old events does not delay the others', async (t) => {
  const waiting = new Map([
    ['prj_many', 45],
    ['prj_failing', 1],
    ['prj_few', 1],
  ]);
  const turns: string[] = [];
  const retention: RetentionStore = {
    next: async (afterId) => {
      const ids = afterId === '' ? [...waiting.keys()] : [];
      return ids.map((projectId) => ({ projectId, retentionDays: 1, readTime: receiveTime }));
    },
    removeSomeBefore: async ({ projectId }) => {
      if (turns.at(-1) !== projectId) turns.push(projectId);
      if (projectId === 'prj_failing') throw new Error('MongoDB does not answer');
      const left = Math.max(0, (waiting.get(projectId) ?? 0) - 1);
      waiting.set(projectId, left);
      return left > 0;
    },
  };
  await endDue({ retention, clock, log: silentLogger() }, signal);
  t.deepEqual([waiting.get('prj_many'), waiting.get('prj_few')], [0, 0]);
  t.deepEqual(turns, [
    ...['prj_many', 'prj_failing', 'prj_few'],
    ...['prj_many', 'prj_few', 'prj_many', 'prj_few'],
  ]);
});

test('a project records the time before which its events may have been removed', async (t) => {
  const { db, captured: store } = await testWorld(t);
  const retention = createRetentionStore(db);
  const projects = db.collection<ProjectOfTest>('projects');
  const projectId = newId('prj');
  const state = ProjectState.PROJECT_STATE_ACTIVE;
  await projects.insertOne({ _id: projectId, state, settings: { retentionDays: 1 } });
  await insert(
    store,
    projectId,
    [0, 1, 2, 3].map((days) => captured({}, -days * dayMs)),
  );
  const afterRemovalOf = async (days: number) => {
    const time = new Date(receiveTime.getTime() - days * dayMs);
    await retention.removeSomeBefore({ projectId, retentionDays: 1 }, time, signal);
    return (await projects.findOne({ _id: projectId }))?.expiredBefore;
  };
  t.is(await afterRemovalOf(4), undefined, 'there was nothing to remove');
  const latest = new Date(receiveTime.getTime() - 1.5 * dayMs);
  t.deepEqual(await afterRemovalOf(1.5), latest);
  await insert(store, projectId, [captured({}, -9 * dayMs)]);
  t.deepEqual(await afterRemovalOf(5), latest);
});

test('the projects with a retention are found by an index of their own, page by page', async (t) => {
  const { db } = await testWorld(t);
  const retention = createRetentionStore(db);
  const projects = db.collection<{ _id: string; settings: object }>('projects');
  const ids = Array.from({ length: 250 }, () => newId('prj')).sort();
  await projects.insertMany(
    ids.map((_id, index) => ({ _id, settings: { retentionDays: index % 2 } })),
  );
  const found: string[] = [];
  for (;;) {
    const some = await retention.next(found.at(-1) ?? '', signal);
    if (some.length === 0) break;
    found.push(...some.map(({ projectId }) => projectId));
  }
  t.deepEqual(
    found,
    ids.filter((_, index) => index % 2 === 1),
  );
  const { executionStats, queryPlanner } = await projects
    .find({ _id: { $gt: '' }, 'settings.retentionDays': { $gt: 0 } })
    .hint('by_retention')
    .sort({ _id: 1 })
    .explain('executionStats');
  t.is(executionStats.totalKeysExamined, 125);
  t.false(stagesOf(queryPlanner.winningPlan).some(({ stage }) => stage === 'SORT'));
});
