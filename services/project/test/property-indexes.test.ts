import { PropertyOperator } from '@silo/protos/gen/silo/project/v1/event.ts';
import { Project } from '@silo/protos/gen/silo/project/v1/project.ts';
import { bind } from '@silo/rpc/test/bind.ts';
import { silentLogger } from '@silo/runtime/log.ts';
import test, { type ExecutionContext } from 'ava';
import { updateProject } from '../handlers/update-project.ts';
import { buildDue } from '../loops/build-property-indexes.ts';
import { type Places, placesWith } from '../rules/events/indexed-properties.ts';
import type { ProjectDocument } from '../store/documents.ts';
import { captured, condition, insert } from './event-support.ts';
import { testWorld, type World } from './support.ts';

const within = () => AbortSignal.timeout(600_000);
const place = 2;
const field = `x${place}`;

type Chosen = {
  world: World;
  projectId: string;
  /** Sets `indexed_properties`. */
  choose(...names: string[]): Promise<void>;
};

async function project(t: ExecutionContext): Promise<Chosen> {
  const world = await testWorld(t);
  const owner = world.key();
  const { projectId } = await world.organization(owner);
  const choose = async (...indexedProperties: string[]) => {
    const call = await world.call(owner, { projectId });
    const request = {
      project: Project.fromPartial({ id: projectId, settings: { indexedProperties } }),
      updateMask: ['settings.indexed_properties'],
      requestId: '',
    };
    await bind(updateProject, world)(request, call);
  };
  return { world, projectId, choose };
}

async function capture({ world, projectId }: Chosen, plans: readonly unknown[], places?: Places) {
  const batch = plans.map((plan, index) => captured({ plan }, -index, places));
  await insert(world.captured, projectId, batch);
}

/** Runs one turn of the loop as a separate process. */
async function build({ world }: Chosen, owner = 'one'): Promise<void> {
  const registry = { awaitBarrier: async () => ({ guards: 0, durationMs: 0 }) as never };
  await buildDue({ ...world, registry, owner, log: silentLogger() }, within());
}

async function indexesOf({ world, projectId }: Chosen) {
  const found = await world.db.collection<ProjectDocument>('projects').findOne({ _id: projectId });
  return found?.propertyIndexes ?? [];
}

/** Counts the events with this plan by the indexes that are ready. */
async function countByIndex(
  { world, projectId }: Chosen,
  plan: unknown,
  name = 'plan',
): Promise<number> {
  const places = placesWith(await world.indexes.ready(projectId, within()));
  const checked = condition(name, PropertyOperator.PROPERTY_OPERATOR_EQUAL, JSON.stringify(plan));
  const filter = { ...checked, places };
  const page = { deletions: [], after: undefined, size: 1_000 };
  return (await world.eventQueries.query(projectId, filter, page, within())).events.length;
}

const cycle = (count: number, ...plans: unknown[]) =>
  Array.from({ length: count }, (_, index) => plans[index % plans.length]);

test('a ready index finds the events from before its choice, and later ones', async (t) => {
  const chosen = await project(t);
  await capture(chosen, cycle(600, 'free', 'scale', null, { deep: 1 }));
  await chosen.choose('plan');
  t.like(await indexesOf(chosen), [{ name: 'plan', place, state: 'building' }]);
  await capture(chosen, cycle(8, 'free', 'scale'), placesWith([{ name: 'plan', place }]));
  t.deepEqual(
    await chosen.world.indexes.ready(chosen.projectId, within()),
    [],
    'the index is not complete yet',
  );
  t.is(await countByIndex(chosen, 'free'), 154, 'found without the index');
  await build(chosen);
  t.like(await indexesOf(chosen), [{ name: 'plan', place, state: 'ready' }]);
  t.is(await countByIndex(chosen, 'free'), 154);
  t.is(await countByIndex(chosen, null), 150);
  const indexed = { '_id.project': chosen.projectId, [field]: { $exists: true } };
  t.is(await chosen.world.db.collection('captured_events').countDocuments(indexed), 458);
});

test('a deselected property frees its place only when no event has its values', async (t) => {
  const chosen = await project(t);
  await chosen.choose('plan');
  await capture(chosen, cycle(600, 'free'), placesWith([{ name: 'plan', place }]));
  await build(chosen);
  await chosen.choose('color');
  t.like(await indexesOf(chosen), [
    { name: 'plan', place, state: 'removing' },
    { name: 'color', place: place + 1, state: 'building' },
  ]);
  t.is(await countByIndex(chosen, 'free'), 600, 'found without the index');
  await build(chosen);
  t.like(await indexesOf(chosen), [{ name: 'color', place: place + 1, state: 'ready' }]);
  const events = chosen.world.db.collection('captured_events');
  t.is(await events.countDocuments({ [field]: { $exists: true } }), 0);
  await chosen.choose('color', 'plan');
  t.like((await indexesOf(chosen))[1], { name: 'plan', place, state: 'building' });
});

test('concurrent builds by several processes make a complete index', async (t) => {
  const chosen = await project(t);
  await capture(chosen, cycle(900, 'free', 'scale'));
  await chosen.choose('plan');
  await Promise.all([build(chosen, 'one'), build(chosen, 'two'), build(chosen, 'three')]);
  await build(chosen);
  t.like(await indexesOf(chosen), [{ name: 'plan', state: 'ready' }]);
  t.is(await countByIndex(chosen, 'scale'), 450);
});

test('a process that was paused writes no value to a place that now belongs to another property', async (t) => {
  const chosen = await project(t);
  const { world, projectId } = chosen;
  await capture(chosen, cycle(400, 'free'));
  await chosen.choose('plan');
  const [unfinished] = await world.indexes.unfinished('', within());
  if (unfinished === undefined) throw new TypeError('nothing is to be built');
  await world.indexes.createPlace(place, within());
  const fence = (await world.indexes.acquire(unfinished, 'paused', within())) ?? 0;
  t.true(await world.indexes.step(unfinished, fence, within()), 'the build has begun');
  t.is(await world.indexes.acquire(unfinished, 'other', within()), undefined, 'one at a time');

  const works = world.db.collection('property_index_work');
  await works.updateMany({}, { $set: { until: new Date(0) } });
  await chosen.choose();
  await build(chosen, 'other');
  await chosen.choose('color');
  await build(chosen, 'other');
  t.like(await indexesOf(chosen), [{ name: 'color', place, state: 'ready' }]);
  t.false(await world.indexes.step(unfinished, fence, within()));
  const events = world.db.collection('captured_events');
  t.is(await events.countDocuments({ '_id.project': projectId, [field]: { $exists: true } }), 0);
});

test('values that one process has written are not written again by the next one', async (t) => {
  const chosen = await project(t);
  const { world } = chosen;
  await capture(chosen, cycle(600, 'free'));
  await chosen.choose('plan');
  const [unfinished] = await world.indexes.unfinished('', within());
  if (unfinished === undefined) throw new TypeError('nothing is to be built');
  await world.indexes.createPlace(place, within());
  const fence = (await world.indexes.acquire(unfinished, 'killed', within())) ?? 0;
  await world.indexes.step(unfinished, fence, within());
  const events = world.db.collection('captured_events');
  const filled = { [field]: 'free' };
  const before = await events.countDocuments(filled);
  t.true(before > 0 && before < 600);
  // A changed value shows whether it is written again.
  await events.updateMany(filled, { $set: { [field]: 'kept' } });
  await world.db.collection('property_index_work').updateMany({}, { $set: { until: new Date(0) } });
  await build(chosen, 'next');
  t.is(await events.countDocuments({ [field]: 'kept' }), before);
  t.is(await events.countDocuments(filled), 600 - before);
});

test('a purge removes the work documents of the project’s indexes', async (t) => {
  const chosen = await project(t);
  await chosen.choose('plan');
  await build(chosen);
  const works = chosen.world.db.collection('property_index_work');
  t.is(await works.countDocuments(), 1);
  await chosen.world.indexes.purge(chosen.projectId, within());
  t.is(await works.countDocuments(), 0);
});

test('indexes that other processes work on do not keep a later one from being built', async (t) => {
  const chosen = await project(t);
  const { world, projectId } = chosen;
  await chosen.choose('plan');
  const projects = world.db.collection<{ _id: string }>('projects');
  const own = await projects.findOneAndDelete({ _id: projectId });
  if (own === null) return t.fail('there is no project');
  const propertyIndexes = [{ name: 'plan', place, since: 1, state: 'building' }];
  const ids = Array.from({ length: 150 }, (_, index) => `prj_${index}`);
  await projects.insertMany(ids.map((_id) => ({ _id, propertyIndexes })));
  await projects.insertOne(own);
  const until = new Date(Date.now() + 600_000);
  const held = ids.map((id) => ({ _id: `${id}/${place}`, owner: 'other', fence: 1, until }));
  await world.db.collection<{ _id: string }>('property_index_work').insertMany(held);
  await build(chosen);
  t.like(await indexesOf(chosen), [{ name: 'plan', state: 'ready' }]);
});
