import { errors } from '@silo/errors/errors.ts';
import { EventFilter, PropertyOperator } from '@silo/protos/gen/silo/project/v1/event.ts';
import type { RegionClient } from '@silo/service/regions.ts';
import { newId } from '@silo/tokens/ids.ts';
import test from 'ava';
import { purgeSource as beginPurge } from '../handlers/internal/purge-source.ts';
import { eventDeletionMessage } from '../messages.ts';
import { type PurgeDependencies, purgeSource } from '../purge/purge-source.ts';
import { checkFilter } from '../rules/events/filter.ts';
import { placesWith } from '../rules/events/indexed-properties.ts';
import { ParsedProperties } from '../rules/events/parsed-properties.ts';
import { uuidText } from '../rules/events/uuid.ts';
import { mayHaveRemoved, whyNotPurge } from '../rules/purge-source.ts';
import type { ProjectDocument } from '../store/documents.ts';
import { bytesOf } from '../store/event-collection.ts';
import type { EventDeletionDocument } from '../store/event-deletions.ts';
import { createMigratingProjectStore } from '../store/migrating-projects.ts';
import { migrationCollection } from '../store/migrations.ts';
import { createRetentionStore } from '../store/retention.ts';
import { captured, insert, receiveTime } from './event-support.ts';
import { eventsOf } from './migration-copy-support.ts';
import { fromRegion } from './migration-support.ts';
import { dayMs, deletionOf, eventCount, migratedProject, withIndex } from './purge-support.ts';
import { refusalOf } from './support.ts';

test('events that the other region has byte by byte are removed, and both records have the time', async (t) => {
  const world = await migratedProject(t);
  t.deepEqual(await world.purge(), { failure: undefined, left: 0 });
  const [here, there] = await world.purgeTimes();
  t.true(here instanceof Date && there instanceof Date);
});

test('one event that the other region lost or changed prevents the whole purge', async (t) => {
  const world = await migratedProject(t);
  const { events, filter } = withIndex(world.eu, 3, 4);
  await events.deleteMany(filter);
  const lost = await world.purge();
  t.regex(lost.failure ?? '', /^2 event\(s\) are not in the other region/);
  t.is(lost.left, eventCount);
  t.deepEqual(await world.purgeTimes(), [undefined, undefined]);
});

test('one different byte in the other region prevents the whole purge', async (t) => {
  const world = await migratedProject(t);
  const { events, filter } = withIndex(world.eu, 3);
  await events.updateOne(filter, { $set: { distinctId: 'adb' } });
  const { failure, left } = await world.purge();
  t.regex(failure ?? '', /^1 event\(s\) differ/);
  t.is(left, eventCount);
});

test('a deletion there explains only the events that it covers', async (t) => {
  const world = await migratedProject(t);
  const { events, filter } = withIndex(world.eu, 3, 4);
  await events.deleteMany(filter);
  const operator = 1; // EQUAL
  const named = (values: string[]) =>
    EventFilter.fromPartial({ properties: [{ name: 'index', operator, values }] });
  await world.deleteThere(named(['3']));
  await world.deleteThere(named(['4']), 1);
  t.regex((await world.purge()).failure ?? '', /^1 event\(s\) are not in/);
  await migrationCollection(world.us.db).updateOne({}, { $set: { isOpen: true, isPurging: true } });
  await world.deleteThere(named(['4']), 3);
  t.is((await world.purge()).left, 0);
});

test('a purge fails and names an event whose properties are damaged', async (t) => {
  const world = await migratedProject(t);
  const [event] = await eventsOf(world.us.db).find({}).limit(1).toArray();
  if (event === undefined) throw new TypeError('no event');
  const damage = { $set: { properties: Buffer.from('{"index":') } };
  await eventsOf(world.us.db).updateOne({ time: event.time }, damage);
  const properties = [{ name: 'index', operator: PropertyOperator.PROPERTY_OPERATOR_EXISTS }];
  await world.deleteThere(EventFilter.fromPartial({ properties }));
  const uuid = uuidText(bytesOf(event._id.uuid));
  const failure = `The event ${uuid} cannot be decoded: its properties are not JSON. Repair or remove its document here, and purge again: nothing was removed.`;
  t.deepEqual(await world.purge(), { failure, left: eventCount });
});

test('the record of a deletion there does not expire before the purge, but after it', async (t) => {
  const world = await migratedProject(t);
  const { db, eventDeletions } = world.eu;
  const deletions = db.collection<EventDeletionDocument>('event_deletions');
  const operator = 1; // EQUAL
  await world.deleteThere(
    EventFilter.fromPartial({ properties: [{ name: 'index', operator, values: ['3'] }] }),
  );
  await deletions.updateMany({}, { $set: { isOpen: true }, $unset: { finishTime: '' } });
  const [open] = await deletions.find().toArray();
  if (open === undefined) throw new Error('no deletion');
  const now = new Date();
  const removed = await eventDeletions.removeSome(open, now, AbortSignal.timeout(600_000));
  t.like(removed, { removedCount: 1, finishTime: undefined, keptFinishTime: now });
  if (removed) t.deepEqual(eventDeletionMessage(removed).finishTime, now);
  t.deepEqual(await world.purge(), { failure: undefined, left: 0 });
  t.like(await deletions.findOne(), { finishTime: now, keptFinishTime: undefined });
  const project = await db.collection<ProjectDocument>('projects').findOne();
  t.is(project?.cameBy, undefined);
});

test('deletions that a region keeps for an earlier source expire after its own copy is purged', async (t) => {
  const world = await migratedProject(t);
  const { db } = world.us;
  const [finishTime, cameBy] = [new Date(), newId('mig_us')];
  const { projectId } = world;
  const deletions = db.collection<EventDeletionDocument>('event_deletions');
  const kept = { ...deletionOf(projectId), keptFinishTime: finishTime };
  await deletions.insertOne(kept);
  await db
    .collection<ProjectDocument>('projects')
    .updateOne({ _id: projectId }, { $set: { cameBy } });
  t.is((await world.purge()).left, 0);
  t.like(await deletions.findOne(), { finishTime, keptFinishTime: undefined });
});

test('a reported purge of another migration does not let deletions expire', async (t) => {
  const world = await migratedProject(t);
  const { db } = world.eu;
  const { projectId } = world;
  const deletions = db.collection<EventDeletionDocument>('event_deletions');
  const keptFinishTime = new Date();
  await deletions.insertOne({ ...deletionOf(projectId), keptFinishTime });
  const cameBy = newId('mig_us');
  await db
    .collection<ProjectDocument>('projects')
    .updateOne({ _id: projectId }, { $set: { cameBy } });
  t.is((await world.purge()).left, 0);
  t.like(await deletions.findOne(), { finishTime: undefined, keptFinishTime });
});

test('values of chosen properties are not compared; those that every project indexes are', async (t) => {
  const world = await migratedProject(t);
  const { events } = withIndex(world.eu);
  const { name, place } = { name: 'plan', place: 2 };
  t.is(placesWith([{ name, place }]).get(name), place);
  await events.updateMany({}, { $set: { [`x${place}`]: 'free' } });
  const here = withIndex(world.us).events;
  await here.updateMany({ ...withIndex(world.us, 1, 2).filter }, { $set: { x7: 'other' } });
  t.deepEqual(await world.purge(), { failure: undefined, left: 0 });
});

test('a different indexed host is a difference', async (t) => {
  const world = await migratedProject(t);
  const { events, filter } = withIndex(world.eu, 1);
  await events.updateOne(filter, { $set: { x0: 'app.example.com' } });
  t.regex((await world.purge()).failure ?? '', /^1 event\(s\) differ/);
});

test('events removed by the other region’s retention are not lost, whatever its present setting', async (t) => {
  const world = await migratedProject(t);
  const { db } = world.eu;
  const retention = createRetentionStore(db);
  const removeOlder = async (retentionDays: number) => {
    const { projectId } = world;
    await db
      .collection<ProjectDocument>('projects')
      .updateOne({ _id: projectId }, { $set: { 'settings.retentionDays': retentionDays } });
    await retention.removeSomeBefore(
      { projectId, retentionDays },
      new Date(receiveTime.getTime() - retentionDays * dayMs),
      AbortSignal.timeout(600_000),
    );
  };
  await removeOlder(20);
  await removeOlder(25);
  const { events, filter } = withIndex(world.eu, 20);
  t.is(await events.countDocuments(), 21);
  await events.deleteOne(filter);
  const lost = await world.purge();
  t.regex(lost.failure ?? '', /^1 event\(s\) are not in/, 'it was newer, and counts as lost');
  const again = { $set: { isOpen: true, isPurging: true }, $unset: { failure: '' } } as const;
  await migrationCollection(world.us.db).updateOne({}, again);
  await removeOlder(10);
  await db.collection('projects').updateOne({}, { $set: { 'settings.retentionDays': 400 } });
  t.deepEqual(await world.purge(), { failure: undefined, left: 0 });
});

test('a missing event beyond the other region’s retention counts as lost if nothing has removed it', async (t) => {
  const world = await migratedProject(t);
  const projects = world.eu.db.collection<ProjectDocument>('projects');
  await projects.updateOne({}, { $set: { 'settings.retentionDays': 10 } });
  const { events, filter } = withIndex(world.eu, 29);
  await events.deleteOne(filter);
  t.regex((await world.purge()).failure ?? '', /^1 event\(s\) are not in/);
});

test('a comparison reads a bounded number of later captures, even before an event dated in the future', async (t) => {
  const world = await migratedProject(t);
  const { us, eu, projectId, client } = world;
  const future = captured({ index: eventCount, plan: 'free' }, dayMs);
  for (const { captured: store } of [us, eu]) await insert(store, projectId, [future]);
  const since = Array.from({ length: 1_200 }, (_, index) => captured({ index: -1 }, 1 + index));
  await insert(eu.captured, projectId, since);
  const counts: number[] = [];
  const hashed: RegionClient['hashRanges'] = async function* (request, options) {
    for await (const answer of client.hashRanges?.(request, options) ?? []) {
      counts.push(answer.digest?.count ?? 0);
      yield answer;
    }
  };
  t.deepEqual(await world.purge({ hashRanges: hashed }), { failure: undefined, left: 0 });
  t.is(Math.max(...counts), 1_001);
});

test('one call compares several ranges, and only those that differ are compared by event', async (t) => {
  const world = await migratedProject(t);
  const { us, eu, projectId, client } = world;
  const more = Array.from({ length: 2_400 }, (_, index) => captured({ index: -1 }, 1 + index));
  for (const { captured: store } of [us, eu]) await insert(store, projectId, more);
  const { events, filter } = withIndex(eu, 3);
  await events.deleteOne(filter);
  const asked: number[] = [];
  const hashRanges: RegionClient['hashRanges'] = async function* (request, options) {
    asked.push(request.ranges.length);
    yield* client.hashRanges?.(request, options) ?? [];
  };
  t.regex((await world.purge({ hashRanges })).failure ?? '', /^1 event\(s\) are not in/);
  t.deepEqual(asked, [3, 1_000]);
});

test('a purge ends if the other region does not answer, or refuses', async (t) => {
  const world = await migratedProject(t);
  const describeGone = async () => {
    throw errors.dependencyUnavailable('eu');
  };
  const gone = await world.purge({ describeProject: describeGone });
  t.regex(gone.failure ?? '', /as it did not answer: nothing was removed/);
  t.is(gone.left, eventCount);
  const refuse = async () => {
    throw errors.projectNotFound(world.projectId);
  };
  await migrationCollection(world.us.db).updateOne({}, { $set: { isOpen: true, isPurging: true } });
  const refused = await world.purge({ describeProject: refuse });
  t.regex(refused.failure ?? '', /as it refused with PROJECT_NOT_FOUND: nothing/);
});

test('an old purge neither removes events nor ends a newer purge of the same source', async (t) => {
  const world = await migratedProject(t);
  const { us, record, purging, client } = world;
  const records = migrationCollection(us.db);
  const begin = async () => {
    await records.updateOne({}, { $unset: { isOpen: '', isPurging: '', isPartlyRemoved: '' } });
    const dependencies = { ...us, migratingProjects: createMigratingProjectStore(us.db) };
    await beginPurge({ migrationId: record._id }, fromRegion('us'), dependencies);
    const begun = await records.findOne({ _id: record._id });
    if (begun === null) throw new TypeError('there is no record');
    return begun;
  };
  const runFirst = async (dependencies: Partial<PurgeDependencies>) => {
    const options = { patienceMs: 1, signal: AbortSignal.timeout(600_000) };
    await purgeSource({ ...purging, ...dependencies }, await begin(), options);
    return await records.findOne({ _id: record._id });
  };
  const beingCompared = { isPurging: true, isOpen: true, isPartlyRemoved: undefined } as const;
  const isAsBegun = (found: object | null) =>
    t.like(found, { ...beingCompared, failure: undefined, purgeTime: undefined });
  const compared = (isEqual: boolean) => {
    const hashRanges: RegionClient['hashRanges'] = async function* (request, options) {
      yield* client.hashRanges?.(request, options) ?? [];
      if (request.ranges.length > 1 || isEqual) await begin();
    };
    return { regions: new Map([['eu', { ...client, hashRanges } as RegionClient]]) };
  };
  isAsBegun(await runFirst(compared(true)));
  const removeAll: PurgeDependencies['removal']['removeAll'] = async (...given) => {
    await begin();
    return await purging.removal.removeAll(...given);
  };
  isAsBegun(await runFirst({ removal: { removeAll } }));
  const { events, filter } = withIndex(world.eu, 3);
  await events.updateOne(filter, { $set: { distinctId: 'eve' } });
  isAsBegun(await runFirst(compared(false)));
  t.is(await eventsOf(us.db).countDocuments(), eventCount);
  await events.updateOne(filter, { $set: { distinctId: 'ada' } });
  const notePurge: RegionClient['notePurge'] = async () => {
    await begin();
    return {};
  };
  const regions = new Map([['eu', { ...client, notePurge } as RegionClient]]);
  isAsBegun(await runFirst({ regions }));
});

test('a purge and its report survive a restart of the other region', async (t) => {
  const world = await migratedProject(t);
  const { describeProject, hashRanges, notePurge } = world.client;
  const refusals = new Map<unknown, Error[]>();
  const afterRefusals = <Method extends (...given: never[]) => unknown>(
    method?: Method,
  ): Method => {
    refusals.set(method, [errors.draining(), errors.notReady('the service', 'has just started')]);
    return ((...given: Parameters<Method>) => {
      const refusal = refusals.get(method)?.shift();
      if (refusal) throw refusal;
      return method?.(...given);
    }) as Method;
  };
  const restarting = {
    describeProject: afterRefusals(describeProject),
    hashRanges: afterRefusals(hashRanges),
    notePurge: afterRefusals(notePurge),
  };
  t.deepEqual(await world.purge(restarting, 60_000), { failure: undefined, left: 0 });
  t.true([...refusals.values()].every((left) => left.length === 0));
  const [, there] = await world.purgeTimes();
  t.true(there instanceof Date);
});

test('a purge that fails after its removal has begun does not report that nothing was removed', async (t) => {
  const world = await migratedProject(t);
  const { us, record, purging } = world;
  const records = migrationCollection(us.db);
  const stop = new AbortController();
  const removeAll: PurgeDependencies['removal']['removeAll'] = async () => {
    await eventsOf(us.db).deleteOne({});
    stop.abort();
    throw stop.signal.reason;
  };
  const options = { patienceMs: 1, signal: stop.signal };
  await t.throwsAsync(purgeSource({ ...purging, removal: { removeAll } }, record, options));
  const resume = async (client: Partial<RegionClient>) => {
    const begun = await records.findOneAndUpdate(
      { _id: record._id },
      { $set: { isOpen: true, isPurging: true } },
      { returnDocument: 'after' },
    );
    if (begun === null) throw new TypeError('there is no record');
    const regions = new Map([['eu', { ...world.client, ...client } as RegionClient]]);
    const again = { patienceMs: 1, signal: AbortSignal.timeout(600_000) };
    await purgeSource({ ...purging, regions }, begun, again);
    return (await records.findOne({ _id: record._id })) ?? begun;
  };
  const silent = async () => {
    throw errors.dependencyUnavailable('eu');
  };
  const kept = 'an earlier purge may have removed some events here, and the rest is kept';
  const notCompared = await resume({ describeProject: silent });
  t.is(notCompared.failure, `The other region was not compared, as it did not answer: ${kept}.`);
  await eventsOf(world.eu.db).updateMany({}, { $set: { distinctId: 'eve' } });
  t.regex((await resume({})).failure ?? '', new RegExp(`differ .*: ${kept}\\.$`));
  t.is(await eventsOf(us.db).countDocuments(), eventCount - 1);
});

test('a purge that had removed everything before an interruption ends without the other region', async (t) => {
  const world = await migratedProject(t);
  const silent = async () => {
    throw errors.dependencyUnavailable('eu');
  };
  const gone = { describeProject: silent, notePurge: silent };
  const interrupted = { isOpen: true, isPurging: true, isPartlyRemoved: true } as const;
  const records = migrationCollection(world.us.db);
  await records.updateOne({}, { $set: interrupted });
  const kept = await world.purge(gone);
  t.regex(kept.failure ?? '', /the rest is kept\.$/);
  t.is(kept.left, eventCount);
  await eventsOf(world.us.db).deleteMany({});
  await records.updateOne({}, { $set: interrupted, $unset: { failure: '' } });
  t.deepEqual(await world.purge(gone), { failure: undefined, left: 0 });
  const [here] = await world.purgeTimes();
  t.true(here instanceof Date);
});

test('the source of a project that was deleted and purged in the other region is removed', async (t) => {
  const world = await migratedProject(t);
  const { db, migrations } = world.eu;
  await Promise.all([db.collection('projects').deleteMany({}), eventsOf(db).deleteMany({})]);
  const lost = await world.purge();
  t.regex(
    lost.failure ?? '',
    /refused with PROJECT_NOT_FOUND/,
    'it is not there, and was not purged',
  );
  await migrationCollection(world.us.db).updateOne({}, { $set: { isOpen: true, isPurging: true } });
  await migrations.noteProjectPurged(world.projectId, AbortSignal.timeout(600_000));
  t.is((await world.purge()).left, 0);
});

test('every call of a purge has a deadline', async (t) => {
  const world = await migratedProject(t);
  const { events, filter } = withIndex(world.eu, 3);
  await events.deleteOne(filter);
  const deadlines: (number | undefined)[] = [];
  const note = (_: unknown, options?: { deadlineMs?: number | undefined }) => {
    deadlines.push(options?.deadlineMs);
    throw errors.dependencyUnavailable('eu');
  };
  await world.purge({ hashRanges: note });
  await migrationCollection(world.us.db).updateOne({}, { $set: { isOpen: true, isPurging: true } });
  await world.purge({ readDeletions: note });
  t.true(deadlines.length >= 2);
  t.true(deadlines.every((ms) => ms !== undefined && ms > 0));
});

test('a purge removes everything even if the other region cannot record its end', async (t) => {
  const world = await migratedProject(t);
  const notePurgeFails = async () => {
    throw errors.dependencyUnavailable('eu');
  };
  t.is((await world.purge({ notePurge: notePurgeFails })).left, 0);
  const [here, there] = await world.purgeTimes();
  t.true(here instanceof Date && there === undefined);
});

test('a running purge is visible at the source, and a repeat does not begin another', async (t) => {
  const world = await migratedProject(t);
  const dependencies = { ...world.us, migratingProjects: createMigratingProjectStore(world.us.db) };
  const repeat = () =>
    beginPurge({ migrationId: world.record._id }, fromRegion('us'), dependencies);
  t.like((await repeat()).migration, { purging: true, purgeTime: undefined });
  await world.purge();
  const { migration } = await repeat();
  t.like(migration, { purging: false, failure: '' });
  t.true(migration?.purgeTime instanceof Date);
});

test('an earlier migration from here cannot be purged any more', async (t) => {
  const { us } = await migratedProject(t);
  const records = migrationCollection(us.db);
  const dependencies = { ...us, migratingProjects: createMigratingProjectStore(us.db) };
  const first = await records.findOneAndUpdate(
    {},
    { $unset: { isOpen: '', isPurging: '' } },
    { returnDocument: 'after' },
  );
  if (first === null) throw new Error('no record');
  const { _id: migrationId, requestTime } = first;
  const later = { _id: newId('mig_us'), requestTime: new Date(requestTime.getTime() + 1) };
  await records.insertOne({ ...first, ...later });
  const refused = await refusalOf(beginPurge({ migrationId }, fromRegion('us'), dependencies));
  t.is(refused.reasonName, 'MIGRATION_STATE');
  await beginPurge({ migrationId: later._id }, fromRegion('us'), dependencies);
  t.true((await records.findOne({ _id: later._id }))?.isPurging);
});

test('nothing is removed if an event is lost or changed', (t) => {
  t.is(whyNotPurge({ missing: 0, changed: 0 }), undefined);
  t.regex(whyNotPurge({ missing: 1, changed: 0 }) ?? '', /^1 event\(s\) are not in the other/);
  t.regex(whyNotPurge({ missing: 0, changed: 2 }) ?? '', /^2 event\(s\) differ/);
});

test('retention may have removed events before its time, and a deletion the events that it covers', (t) => {
  const time = new Date('2026-03-31T12:00:00Z');
  const parsed = new ParsedProperties(() => '{}');
  const event = { name: 'seen', distinctId: 'ada', time, parsed, generation: 1 };
  t.false(mayHaveRemoved({ expiredBefore: time }, event));
  t.true(mayHaveRemoved({ expiredBefore: new Date(time.getTime() + 1) }, event));
  const filter = checkFilter(undefined);
  t.false(mayHaveRemoved({ generation: 1, filter }, event));
  t.true(mayHaveRemoved({ generation: 2, filter }, event));
});
