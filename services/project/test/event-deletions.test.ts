import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import { Propagation } from '@silo/protos/gen/silo/common/v1/propagation.ts';
import { EventFilter, PropertyOperator } from '@silo/protos/gen/silo/project/v1/event.ts';
import { ProjectState } from '@silo/protos/gen/silo/project/v1/project.ts';
import { silentLogger } from '@silo/runtime/log.ts';
import { newId } from '@silo/tokens/ids.ts';
import test from 'ava';
import { deleteEvents } from '../handlers/delete-events.ts';
import { removeDue } from '../loops/remove-deleted-events.ts';
import { filterFields, isCovered } from '../rules/events/deletions.ts';
import { checkFilter } from '../rules/events/filter.ts';
import { ParsedProperties } from '../rules/events/parsed-properties.ts';
import { bytesOf } from '../store/event-collection.ts';
import type { EventDeletionDocument } from '../store/event-deletions.ts';
import { captured, condition, insert } from './event-support.ts';
import { refusalOf, testWorld, type World } from './support.ts';

// Recent, because MongoDB removes deletions that finished long ago.
const now = new Date();
const signal = () => AbortSignal.timeout(600_000);
const all = EventFilter.fromPartial({});

/** A committed deletion of an active project, as made by DeleteEvents. */
async function deletion(
  { db }: World,
  projectId: string,
  { generation = 1, filter = all, createTime = now } = {},
): Promise<EventDeletionDocument> {
  const document: EventDeletionDocument = {
    ...{ _id: newId('evd'), projectId, generation, actorAccountId: newId('acc') },
    filter: Buffer.from(EventFilter.encode(filter).finish()),
    ...{ createTime, removedCount: 0, isOpen: true, isSettled: true },
  };
  await db.collection<EventDeletionDocument>('event_deletions').insertOne(document);
  const active = { $set: { state: ProjectState.PROJECT_STATE_ACTIVE } };
  const projects = db.collection<{ _id: string }>('projects');
  await projects.updateOne({ _id: projectId }, active, { upsert: true });
  return document;
}

/** The stored UUIDs of all generations. */
async function stored({ db }: World): Promise<number> {
  return await db.collection('captured_events').countDocuments();
}

test('a deletion covers only matching events of earlier generations', (t) => {
  const deletions = [{ generation: 2, filter: { ...checkFilter(undefined), names: ['seen'] } }];
  const event = {
    name: 'seen',
    distinctId: 'ada',
    time: now,
    parsed: new ParsedProperties(() => '{}'),
  };
  t.true(isCovered(deletions, { ...event, generation: 0 }));
  t.true(isCovered(deletions, { ...event, generation: 1 }));
  t.false(isCovered(deletions, { ...event, generation: 2 }));
  t.false(isCovered(deletions, { ...event, name: 'other', generation: 0 }));
  t.false(isCovered([], { ...event, generation: 0 }));
});

test('the fields of a filter are named without their values', (t) => {
  const operator = PropertyOperator.PROPERTY_OPERATOR_EQUAL;
  const properties = ['plan', 'plan', '$host'].map((name) => ({ name, operator, values: ['"x"'] }));
  t.deepEqual(filterFields(EventFilter.fromPartial({ endTime: now, names: ['a'], properties })), [
    ...['end_time', 'names', 'properties.plan', 'properties.$host'],
  ]);
  t.deepEqual(filterFields(all), []);
});

test('queries and counts omit deleted events, even before their removal', async (t) => {
  const world = await testWorld(t);
  const [projectId, other] = [newId('prj'), newId('prj')];
  for (const id of [projectId, other]) {
    const batch = [captured({ $host: 'a' }), captured({ $host: 'b' })];
    await insert(world.captured, id, batch);
    await insert(world.captured, id, [captured({ $host: 'a' })], { generation: 1 });
  }
  const filter = condition('$host', PropertyOperator.PROPERTY_OPERATOR_EQUAL, '"a"');
  const page = { deletions: [{ generation: 1, filter }], after: undefined, size: 10 };
  const found = await world.eventQueries.query(projectId, checkFilter(undefined), page, signal());
  t.deepEqual(found.events.map(({ properties, generation }) => [properties, generation]).sort(), [
    ['{"$host":"a"}', 1],
    ['{"$host":"b"}', 0],
  ]);
  const grouping = { by: 'property', property: '$host' } as const;
  const wanted = { ...page, grouping };
  const counts = await world.eventCounts.count(projectId, checkFilter(undefined), wanted, signal());
  t.like(counts, { total: 2 });
});

test('a removal continues where another process has stopped, and removes nothing else', async (t) => {
  const world = await testWorld(t);
  const [projectId, other] = [newId('prj'), newId('prj')];
  const batch = Array.from({ length: 1_200 }, (_, index) => captured({ odd: index % 2 }, -index));
  await insert(world.captured, projectId, batch);
  await insert(world.captured, other, batch);
  const later = [captured({ odd: 1 })];
  await insert(world.captured, projectId, later, { generation: 1 });
  const properties = [
    { name: 'odd', operator: PropertyOperator.PROPERTY_OPERATOR_EQUAL, values: ['1'] },
  ];
  const filter = EventFilter.fromPartial({ properties });
  const first = await deletion(world, projectId, { filter });
  const { eventDeletions } = world;
  const second = await eventDeletions.removeSome(first, now, signal());
  t.like(second, { removedCount: 500, isOpen: true });
  // In the form of events: as text it would look like a request id, which must not be stored.
  t.is(second?.after && bytesOf(second.after.uuid).length, 16);
  // Another process has read it before, too.
  t.is(await eventDeletions.removeSome(first, now, signal()), undefined);
  const [read] = await eventDeletions.unfinished({ limit: 10 }, signal());
  t.deepEqual(read?._id, first._id);
  const last = read && (await eventDeletions.removeSome(read, now, signal()));
  t.like(last, { removedCount: 600, finishTime: now });
  t.deepEqual(await eventDeletions.unfinished({ limit: 10 }, signal()), []);
  t.is(await stored(world), 1_200 + 600 + 1);
});

test('concurrent removals by several processes count each event once', async (t) => {
  const world = await testWorld(t);
  const projectId = newId('prj');
  const batch = Array.from({ length: 1_300 }, (_, index) => captured({}, -index));
  await insert(world.captured, projectId, batch);
  const { _id } = await deletion(world, projectId);
  const { eventDeletions } = world;
  const remove = async () => {
    for (;;) {
      const [left] = await eventDeletions.unfinished({ limit: 10 }, signal());
      if (left === undefined) return;
      await eventDeletions.removeSome(left, now, signal());
    }
  };
  await Promise.all([remove(), remove(), remove()]);
  t.like(await eventDeletions.get(projectId, _id, signal()), { removedCount: 1_300 });
  t.is(await stored(world), 0);
});

/** One turn of the loop. Returns the deletions of which it has removed batches, in order. */
async function removeAll({ eventDeletions }: World, failing = ''): Promise<string[]> {
  const worked: string[] = [];
  const removeSome: World['eventDeletions']['removeSome'] = async (deletion, ...others) => {
    worked.push(deletion._id);
    if (deletion._id === failing) throw new Error('it fails');
    return await eventDeletions.removeSome(deletion, ...others);
  };
  const dependencies = {
    deletions: { ...eventDeletions, removeSome },
    propagate: async () => Propagation.fromPartial({}),
    clock: { now: () => now, monotonicMs: () => 0 },
    log: silentLogger(),
  };
  await removeDue(dependencies, signal());
  return worked;
}

test('a deletion of many events does not delay others, and continues immediately afterwards', async (t) => {
  const world = await testWorld(t);
  const [large, small] = [newId('prj'), newId('prj')];
  const batch = Array.from({ length: 10_200 }, (_, index) => captured({}, -index));
  await insert(world.captured, large, batch);
  await insert(world.captured, small, batch.slice(0, 1));
  const [{ _id: first }, { _id: second }] = [
    await deletion(world, large),
    await deletion(world, small, { createTime: new Date(now.getTime() + 1) }),
  ];
  const worked = await removeAll(world);
  t.deepEqual(worked, [...Array.from({ length: 20 }, () => first), second, first]);
  t.is(await stored(world), 0);
  t.deepEqual(await world.eventDeletions.unfinished({ limit: 9 }, signal()), []);
});

test('a deletion that fails does not block later ones', async (t) => {
  const world = await testWorld(t);
  const [broken, other] = [newId('prj'), newId('prj')];
  for (const projectId of [broken, other]) await insert(world.captured, projectId, [captured({})]);
  const { _id: failing } = await deletion(world, broken);
  const { _id } = await deletion(world, other, { createTime: new Date(now.getTime() + 1) });
  t.deepEqual(await removeAll(world, failing), [failing, _id]);
  const left = await world.eventDeletions.unfinished({ limit: 9 }, signal());
  t.deepEqual(
    left.map((each) => each._id),
    [failing],
  );
});

test('any number of failing deletions does not block a later one', async (t) => {
  const world = await testWorld(t);
  const document = await deletion(world, newId('prj'));
  const broken = Array.from({ length: 100 }, () => ({
    ...{ ...document, _id: newId('evd'), filter: Buffer.from('no filter') },
    createTime: new Date(now.getTime() - 1),
  }));
  await world.db.collection<EventDeletionDocument>('event_deletions').insertMany(broken);
  t.is((await removeAll(world)).at(-1), document._id);
  t.is((await world.eventDeletions.unfinished({ limit: 999 }, signal())).length, 100);
});

test('an event that is deleted but not yet removed is replaced by its new capture', async (t) => {
  const world = await testWorld(t);
  const { captured: store, eventDeletions } = world;
  const projectId = newId('prj');
  const [first, kept] = [captured({ a: 1 }), captured({ b: 1 })];
  await insert(store, projectId, [first, kept]);
  const properties = [
    { name: 'a', operator: PropertyOperator.PROPERTY_OPERATOR_EXISTS, values: [] },
  ];
  const { _id } = await deletion(world, projectId, {
    filter: EventFilter.fromPartial({ properties }),
  });
  const again = { generation: 1 };
  t.deepEqual(await insert(store, projectId, [first, kept], again), [false, true]);
  t.deepEqual(await insert(store, projectId, [first, kept], again), [true, true]);
  const [left] = await eventDeletions.unfinished({ limit: 10 }, signal());
  t.truthy(left && (await eventDeletions.removeSome(left, now, signal())));
  t.like(await eventDeletions.get(projectId, _id, signal()), { removedCount: 1, finishTime: now });
  t.is(await stored(world), 2);
});

test('a read is refused if its fact includes a later deletion than the server knows', async (t) => {
  const world = await testWorld(t);
  const ada = world.key();
  const { projectId } = await world.organization(ada);
  const { eventDeletions } = world;
  t.deepEqual(await eventDeletions.open(projectId, 0, signal()), []);
  await t.throwsAsync(eventDeletions.open(projectId, 1, signal()), { message: /mongodb/i });
});

test('of many concurrent deletions ten begin, and all others are refused', async (t) => {
  const world = await testWorld(t);
  const ada = world.key();
  const { projectId } = await world.organization(ada);
  const dependencies = { ...world, deletions: world.eventDeletions };
  const remove = async () => {
    const call = await world.call(ada, { projectId });
    return await deleteEvents({ projectId, filter: all, requestId: '' }, call, dependencies);
  };
  const outcomes = await Promise.allSettled(Array.from({ length: 24 }, remove));
  const refused = outcomes.flatMap((each) => (each.status === 'rejected' ? [each.reason] : []));
  t.is(refused.length, 14);
  t.true(refused.every(({ reason }) => reason === ErrorReason.ERROR_REASON_RATE_LIMITED));
});

test('a project has at most ten open deletions', async (t) => {
  const world = await testWorld(t);
  const ada = world.key();
  const { projectId } = await world.organization(ada);
  const dependencies = { ...world, deletions: world.eventDeletions };
  const remove = async () => {
    const call = await world.call(ada, { projectId });
    return await deleteEvents({ projectId, filter: all, requestId: '' }, call, dependencies);
  };
  for (let index = 0; index < 10; index++) await remove();
  t.is((await refusalOf(remove())).reason, ErrorReason.ERROR_REASON_RATE_LIMITED);
  t.is((await world.eventDeletions.open(projectId, 10, signal())).length, 10);
  const [first] = await world.eventDeletions.unfinished({ limit: 1 }, signal());
  t.truthy(first && (await world.eventDeletions.removeSome(first, now, signal())));
  await remove();
  t.is((await world.events('events_deleted')).length, 11);
  t.like(await world.projects.fact(projectId, signal()), { capture: { generation: 11 } });
});
