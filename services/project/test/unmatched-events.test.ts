/** Events of an earlier stay that the source lacks are kept, unless the source has removed them. */
import { errors } from '@silo/errors/errors.ts';
import { EventFilter, PropertyOperator } from '@silo/protos/gen/silo/project/v1/event.ts';
import { MigrationState } from '@silo/protos/gen/silo/project/v1/migration.ts';
import { ProjectState } from '@silo/protos/gen/silo/project/v1/project.ts';
import type { RegionClient } from '@silo/service/regions.ts';
import test, { type ExecutionContext } from 'ava';
import { eventually } from '../../../test/harness/eventually.ts';
import { retryMigration } from '../handlers/internal/migration-staff.ts';
import { runMigration } from '../migration/run-migration.ts';
import type { CheckedEvent } from '../rules/events/check-event.ts';
import { whyUnmatched } from '../rules/unmatched-events.ts';
import type { ProjectDocument } from '../store/documents.ts';
import { keyOf, uuidBytes } from '../store/event-collection.ts';
import { migrationCollection } from '../store/migrations.ts';
import { captured, insert, receiveTime } from './event-support.ts';
import { eventsOf } from './migration-copy-support.ts';
import { fromRegion } from './migration-support.ts';
import { deletionOf } from './purge-support.ts';
import { eventCount, hasMoved, signal, stateIn, twoRegions } from './two-regions.ts';

const { MIGRATION_STATE_FAILED: failed, MIGRATION_STATE_COPYING: copying } = MigrationState;
const { PROJECT_STATE_ACTIVE: active, PROJECT_STATE_MIGRATED: migrated } = ProjectState;

/** Keeps documents unchanged, byte by byte. */
const faithfully = { promoteBuffers: false, promoteValues: false };

/** A migration to `eu`, where an earlier stay has left the events of `us`, and these. */
async function withEarlierStay(t: ExecutionContext, left: readonly CheckedEvent[] = []) {
  const regions = await twoRegions(t);
  const { us, eu, dependencies } = regions;
  const { projectId, _id: migrationId } = us.migration;
  const project = await us.project();
  const client = dependencies.regions.get('us');
  if (project === null || client === undefined) throw new TypeError('no project, or no client');
  const projects = (db: typeof us.db) => db.collection<ProjectDocument>('projects');
  await projects(eu.db).insertOne({ ...project, state: migrated, eventGeneration: 1 });
  const [here, there] = [eventsOf(eu.db), eventsOf(us.db)];
  await here.insertMany(await there.find({}, faithfully).toArray());
  if (left.length > 0) await insert(eu.captured, projectId, left);
  const records = migrationCollection(eu.db);
  await records.updateOne({ _id: migrationId }, { $set: { hasEvents: true } });
  let fence = 0;
  return {
    ...{ ...regions, projectId, migrationId, here, there, client },
    /** Runs one process, with other responses of the source. */
    run: async (others: Partial<RegionClient> = {}, until = signal()) => {
      const asked = { ...dependencies, regions: new Map([['us', { ...client, ...others }]]) };
      await runMigration(asked, migrationId, { fence: ++fence, signal: until });
      return (await stateIn(regions)).record;
    },
    /** Lets the migration continue, as staff does. */
    retry: async (discardUnmatched = false) => {
      const call = fromRegion('us');
      await retryMigration({ migrationId, discardUnmatched }, call, { ...eu, regions: new Map() });
    },
    /** Stores a deletion in `us` that removes nothing. */
    deleteThere: async (filter: EventFilter, generation: number) => {
      const deletion = { ...deletionOf(projectId, filter), generation };
      await us.db.collection<{ _id: string }>('event_deletions').insertOne(deletion);
    },
    /** Records in `us` that retention has removed all events before a time. */
    expireThere: async (expiredBefore: Date) => {
      await projects(us.db).updateOne({ _id: projectId }, { $set: { expiredBefore } });
    },
    hasHere: async ({ uuid }: CheckedEvent) =>
      (await here.countDocuments({ _id: keyOf(projectId, uuidBytes(uuid)) })) === 1,
  };
}

test('the reason of a failure counts missing and different events', (t) => {
  const ends = { here: 'eu', there: 'us' };
  t.is(
    whyUnmatched({ missing: 3, changed: 2 }, ends),
    `3 event(s) are only in eu, and no deletion or retention in us has removed them; 2 event(s) are different in us. ${putBack}`,
  );
  t.is(whyUnmatched({ missing: 0, changed: 0 }, ends), undefined);
});

/** An event that only the earlier stay has. */
const alone = () => captured({ only: 'here' }, -5_000);

const putBack = 'They are kept. Put them back in us and retry, or discard them with the retry.';
const missing = (count: number) =>
  `${count} event(s) are only in eu, and no deletion or retention in us has removed them. ${putBack}`;

test('an event that only the destination has is kept, and the migration fails', async (t) => {
  const lost = alone();
  const world = await withEarlierStay(t, [lost]);
  t.like(await world.run(), { state: failed, failure: missing(1) });
  t.true(await world.hasHere(lost));
  t.is((await world.us.project())?.state, active);
  t.like(await world.us.record(), { state: failed, failure: missing(1) });
});

test('a retry succeeds after the event was put back in the source', async (t) => {
  const lost = alone();
  const world = await withEarlierStay(t, [lost]);
  await world.run();
  const left = await world.here.findOne(
    { _id: keyOf(world.projectId, uuidBytes(lost.uuid)) },
    faithfully,
  );
  if (left === null) throw new TypeError('it is removed');
  await world.there.insertOne(left);
  await world.retry();
  await world.run();
  await hasMoved(t, world, eventCount + 1);
  t.true(await world.hasHere(lost));
});

test('a retry with discard_unmatched removes the event, and another retry fails again', async (t) => {
  const lost = alone();
  const world = await withEarlierStay(t, [lost]);
  await world.run();
  await world.retry();
  t.like(await world.run(), { state: failed, failure: missing(1) });
  await world.retry(true);
  t.like((await stateIn(world)).record, { state: copying, discardsUnmatched: true });
  await world.run();
  await hasMoved(t, world);
});

test('an event is removed if a deletion since the project left covers it, not an earlier deletion', async (t) => {
  const lost = alone();
  const world = await withEarlierStay(t, [lost]);
  const filter = EventFilter.fromPartial({ endTime: new Date(receiveTime.getTime() - 1_000) });
  await world.deleteThere(filter, 1);
  t.like(await world.run(), { state: failed, failure: missing(1) });
  await world.deleteThere(filter, 2);
  await world.retry();
  await world.run();
  await hasMoved(t, world);
});

test('an event is removed if retention has removed events of its age at the source', async (t) => {
  const lost = alone();
  const world = await withEarlierStay(t, [lost]);
  await world.expireThere(lost.time);
  t.like(await world.run(), { state: failed });
  await world.expireThere(new Date(lost.time.getTime() + 1));
  await world.retry();
  await world.run();
  await hasMoved(t, world);
});

test('only unmatched events are kept, even if one transaction cannot remove the others', async (t) => {
  const expired = Array.from({ length: 700 }, (_, index) => captured({ index }, index - 9_000));
  const lost = [captured({ lost: 1 }, -2_000), captured({ lost: 2 }, -1_000)];
  const world = await withEarlierStay(t, [...expired, ...lost]);
  await world.expireThere(new Date(receiveTime.getTime() - 3_000));
  t.like(await world.run(), { state: failed, failure: missing(2) });
  t.true((await world.here.countDocuments()) <= eventCount + expired.length - 500 + lost.length);
  for (const each of lost) t.true(await world.hasHere(each));
  await world.retry(true);
  await world.run();
  await hasMoved(t, world);
});

test('a different event is kept until a retry discards it', async (t) => {
  const world = await withEarlierStay(t);
  await world.here.updateOne({}, { $set: { distinctId: 'eve' } });
  const differs = `1 event(s) are different in us. ${putBack}`;
  t.like(await world.run(), { state: failed, failure: differs });
  t.is(await world.here.countDocuments({ distinctId: 'eve' }), 1);
  await world.retry(true);
  await world.run();
  await hasMoved(t, world);
  t.is(await world.here.countDocuments({ distinctId: 'eve' }), 0);
});

test('an event with another time in the source is not replaced', async (t) => {
  const world = await withEarlierStay(t);
  await world.here.updateOne({}, { $set: { time: new Date(0) } });
  t.like(await world.run(), { state: failed, failure: missing(1) });
  t.is(await world.here.countDocuments({ time: new Date(0) }), 1);
});

test('different values of chosen properties are replaced', async (t) => {
  const world = await withEarlierStay(t);
  await world.here.updateOne({}, { $set: { x3: 'pro' } });
  await world.run();
  await hasMoved(t, world);
  t.is(await world.here.countDocuments({ x3: 'pro' }), 0);
});

test('an event that was captured again after a deletion is replaced', async (t) => {
  const world = await withEarlierStay(t);
  await world.there.updateOne({}, { $set: { distinctId: 'bob', generation: 2 } });
  await world.deleteThere(EventFilter.fromPartial({}), 2);
  await world.run();
  await hasMoved(t, world);
  t.is(await world.here.countDocuments({ distinctId: 'bob' }), 1);
});

/** The reason of a failure because of a damaged event. */
const damaged = (event: string, why: string) =>
  `The event ${event} cannot be decoded: ${why}. It is kept. Repair or remove its document in eu, or in us if it is damaged there, and retry. If only its properties are damaged, a retry that discards unmatched events removes it from eu.`;

/** A filter that reads the properties of an event. */
const withOnly = EventFilter.fromPartial({
  properties: [{ name: 'only', operator: PropertyOperator.PROPERTY_OPERATOR_EXISTS }],
});

test('a migration fails and names an event whose properties are damaged, until a retry discards it', async (t) => {
  const lost = alone();
  const world = await withEarlierStay(t, [lost]);
  const _id = keyOf(world.projectId, uuidBytes(lost.uuid));
  await world.here.updateOne({ _id }, { $set: { properties: Buffer.from('{"only":') } });
  await world.deleteThere(withOnly, 2);
  const failure = damaged(lost.uuid, 'its properties are not JSON');
  t.like(await world.run(), { state: failed, failure });
  t.like(await world.us.record(), { state: failed, failure });
  t.true(await world.hasHere(lost));
  await world.retry();
  t.like(await world.run(), { state: failed, failure });
  await world.retry(true);
  await world.run();
  await hasMoved(t, world);
});

test('a migration continues after a damaged event was repaired', async (t) => {
  const lost = alone();
  const world = await withEarlierStay(t, [lost]);
  const _id = keyOf(world.projectId, uuidBytes(lost.uuid));
  await world.here.updateOne({ _id }, { $set: { properties: Buffer.from('{"only":') } });
  await world.deleteThere(withOnly, 2);
  t.like(await world.run(), { state: failed });
  await world.here.updateOne({ _id }, { $set: { properties: Buffer.from('{"only":1}') } });
  await world.retry();
  await world.run();
  await hasMoved(t, world);
});

test('a migration fails and names an event that has no UUID, until it is removed', async (t) => {
  const world = await withEarlierStay(t);
  const event = await world.here.findOne({}, faithfully);
  if (event === null) throw new TypeError('no event');
  const _id = { project: world.projectId };
  await world.here.insertOne({ ...event, _id: _id as never });
  const failure = damaged(JSON.stringify(_id), 'a stored event has no uuid');
  t.like(await world.run(), { state: failed, failure });
  await world.here.deleteOne({ _id: _id as never });
  await world.retry();
  await world.run();
  await hasMoved(t, world);
});

test('after a process died while it counted unmatched events, the next one counts them', async (t) => {
  const lost = alone();
  const world = await withEarlierStay(t, [lost]);
  const life = new AbortController();
  const hashRanges: RegionClient['hashRanges'] = (request, options) => {
    life.abort(new Error('killed'));
    return world.client.hashRanges(request, options);
  };
  const until = AbortSignal.any([life.signal, signal()]);
  await world.run({ hashRanges }, until);
  t.true(life.signal.aborted);
  t.like((await stateIn(world)).record, { isOpen: true, failure: undefined });
  t.like(await world.run(), { state: failed, failure: missing(1) });
  t.true(await world.hasHere(lost));
});

test('while the source does not return its deletions, nothing is removed', async (t) => {
  const lost = alone();
  const world = await withEarlierStay(t, [lost]);
  await world.expireThere(receiveTime);
  const readDeletions = () => {
    throw errors.migrationNotFound(world.migrationId);
  };
  t.like(await world.run({ readDeletions }), { failure: undefined, putOff: { tries: 1 } });
  t.true(await world.hasHere(lost));
});

test('a copy keeps an event that its source lost together with its change stream', async (t) => {
  const world = await twoRegions(t);
  const { us, eu, dependencies } = world;
  const client = dependencies.regions.get('us');
  if (client === undefined) throw new TypeError('no client');
  let isLost = false;
  const pullEvents: RegionClient['pullEvents'] = async function* (request, options) {
    for await (const answer of client.pullEvents(request, options)) {
      yield answer;
      const { step } = answer;
      if (isLost || step?.$case !== 'range' || step.value.last !== undefined) continue;
      isLost = true;
      await eventually(async () => {
        const count = await eventsOf(eu.db).countDocuments();
        if (count < eventCount) throw new Error(`${count} events are copied`);
      });
      await eventsOf(us.db).deleteOne({});
      throw errors.changesCompacted();
    }
  };
  const regions = new Map([['us', { ...client, pullEvents }]]);
  const { _id: migrationId } = us.migration;
  await runMigration({ ...dependencies, regions }, migrationId, { fence: 1, signal: signal() });
  const { record, events } = await stateIn(world);
  t.like(record, { state: failed, failure: missing(1) });
  t.is(events, eventCount);
  t.is(await eventsOf(eu.db).countDocuments(), eventCount);
});
