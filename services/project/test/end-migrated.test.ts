import { errors } from '@silo/errors/errors.ts';
import { MigrationState } from '@silo/protos/gen/silo/project/v1/migration.ts';
import { ProjectState } from '@silo/protos/gen/silo/project/v1/project.ts';
import { systemClock } from '@silo/runtime/clock.ts';
import { silentLogger } from '@silo/runtime/log.ts';
import type { RegionClient } from '@silo/service/regions.ts';
import { newId } from '@silo/tokens/ids.ts';
import test from 'ava';
import { BSON } from 'mongodb';
import { eventually } from '../../../test/harness/eventually.ts';
import { getMigration } from '../handlers/internal/migration-staff.ts';
import { purgeSource as beginPurge } from '../handlers/internal/purge-source.ts';
import { rollbackMigration } from '../handlers/internal/rollback-migration.ts';
import { endingMigrated, endMigrated } from '../loops/end-migrated.ts';
import { purgeDue } from '../loops/purge-projects.ts';
import type { MigrationDocument, ProjectDocument } from '../store/documents.ts';
import { createMigratingProjectStore } from '../store/migrating-projects.ts';
import { migrationCollection } from '../store/migrations.ts';
import { storeMigrations } from '../store/set-up.ts';
import { eventsOf } from './migration-copy-support.ts';
import { fromRegion } from './migration-support.ts';
import { eventCount, type Migrated, migratedProject } from './purge-support.ts';
import { refusalOf, type World } from './support.ts';

const { PROJECT_STATE_ACTIVE: active, PROJECT_STATE_DELETED: deleted } = ProjectState;
const { PROJECT_STATE_MIGRATED: migrated } = ProjectState;
const { MIGRATION_STATE_DONE: done, MIGRATION_STATE_CANCELLED: cancelled } = MigrationState;
const signal = () => AbortSignal.timeout(600_000);

/** A project that has migrated from `us` to `eu`; no purge of the source has begun. */
async function left(t: Parameters<typeof migratedProject>[0]): Promise<Migrated> {
  const world = await migratedProject(t);
  const ended = { isOpen: '', isPurging: '' } as const;
  await migrationCollection(world.us.db).updateMany({}, { $unset: ended });
  return world;
}

const projectsOf = ({ db }: World) => db.collection<ProjectDocument>('projects');
const projectIn = (world: World, _id: string) => projectsOf(world).findOne({ _id });

/** A turn of one region's loop, for the projects that have migrated to another region. */
function turn(world: World, region: string, client: Partial<RegionClient>): Promise<void> {
  const dependencies = {
    ...world,
    migratingProjects: createMigratingProjectStore(world.db),
    regions: new Map([[region, client as RegionClient]]),
    log: silentLogger(),
  };
  return endingMigrated(dependencies, region)(signal());
}

/** Purges the deleted projects of a region that are due. */
async function purgeIn(world: World): Promise<void> {
  const stores = { events: world.captured, deletions: world.eventDeletions };
  await purgeDue({ ...world, ...stores, clock: systemClock, log: silentLogger() }, signal());
}

/** Deletes a project as its organization does, and purges it. */
async function deleteIn(world: World, projectId: string): Promise<void> {
  const times = { state: deleted, purgeTime: new Date(Date.now() - 60_000) };
  await projectsOf(world).updateOne({ _id: projectId }, { $set: times });
  await purgeIn(world);
}

async function addLease({ db }: World, _id: string): Promise<void> {
  await db
    .collection<{ _id: string; until: Date }>('leases')
    .insertOne({ _id, until: new Date(0) });
}

/** The collections in which a text occurs, except the event log. */
async function whereIs({ db }: World, text: string): Promise<string[]> {
  const found = new Set<string>();
  for (const collection of await db.collections()) {
    if (['events', 'outbox'].includes(collection.collectionName)) continue;
    for await (const document of collection.find()) {
      if (Buffer.from(BSON.serialize(document)).includes(text))
        found.add(collection.collectionName);
    }
  }
  return [...found].sort();
}

test('a project that is purged in the other region ends here, and only its record without a name is left', async (t) => {
  const world = await left(t);
  const { us, eu, projectId, client, record } = world;
  const { _id: migrationId, projectName } = record;
  await Promise.all([addLease(us, migrationId), addLease(eu, migrationId)]);
  await turn(us, 'eu', client);
  t.is((await projectIn(us, projectId))?.state, migrated, 'it is in use there');
  await projectsOf(eu).updateOne({ _id: projectId }, { $set: { state: deleted } });
  await turn(us, 'eu', client);
  t.is((await projectIn(us, projectId))?.state, migrated, 'it can be restored there');

  await deleteIn(eu, projectId);
  await turn(us, 'eu', client);
  t.like(await projectIn(us, projectId), { state: deleted, purging: true });
  const [event, ...others] = await us.events('deleted');
  t.like(event, { projectId, actor: 'silo', organizationId: record.sourceOrganizationId });
  t.deepEqual(others, []);
  t.is(await us.projects.get(record.sourceOrganizationId, projectId, signal()), undefined);

  await turn(us, 'eu', client);
  await purgeIn(us);
  t.deepEqual(us.purged, [projectId], 'its token');
  t.is(await us.projects.fact(projectId, signal()), undefined);
  t.is(await eventsOf(us.db).countDocuments(), 0);
  for (const region of [us, eu]) {
    t.deepEqual(await whereIs(region, projectName), []);
    t.deepEqual(await whereIs(region, migrationId), ['project_migrations']);
    // Usage of past days is kept, as after every purge.
    t.deepEqual(await whereIs(region, projectId), ['project_migrations', 'usage']);
    const found = await migrationCollection(region.db).findOne({ _id: migrationId });
    t.like(found, { projectName: projectId, state: done });
    t.true(found?.goneTime instanceof Date, 'it expires');
  }
  const { migration } = await getMigration({ migrationId }, fromRegion('us'), us);
  t.like(migration, { id: migrationId, projectName: projectId, state: done });
});

test('once a project ends here, its migration can neither be rolled back nor purged again', async (t) => {
  const world = await left(t);
  const { us, eu, projectId, client, record } = world;
  const { _id: migrationId } = record;
  await deleteIn(eu, projectId);
  await turn(us, 'eu', client);
  const migratingProjects = createMigratingProjectStore(us.db);
  const dependencies = { ...us, migratingProjects, regions: new Map([['eu', client]]) } as never;
  const refused = await refusalOf(
    rollbackMigration({ migrationId }, fromRegion('us'), dependencies),
  );
  t.regex(refused.message, /its source is purged/);
  const { migration } = await beginPurge({ migrationId }, fromRegion('us'), dependencies);
  t.like(migration, { purging: false });
  t.true(migration?.purgeTime instanceof Date);
});

test('the time of an earlier purge of the events is kept', async (t) => {
  const world = await migratedProject(t);
  const { us, eu, projectId, client } = world;
  await world.purge();
  const [purgeTime] = await world.purgeTimes();
  await deleteIn(eu, projectId);
  await turn(us, 'eu', client);
  t.is((await projectIn(us, projectId))?.state, deleted);
  t.deepEqual((await world.purgeTimes())[0], purgeTime);
});

for (const [what, error] of [
  ['the migration', errors.migrationNotFound('mig_us_1')],
  ['the project', errors.projectNotFound('prj_1')],
] as const) {
  test(`a project is kept if its region does not know ${what}, as after a restored backup; others have their turn`, async (t) => {
    const world = await left(t);
    const { us, eu, projectId, client, record } = world;
    const other = { ...record, _id: newId('mig_us'), projectId: newId('prj'), state: done };
    const { isOpen: _, isPurging: __, ...closed } = other;
    await migrationCollection(us.db).insertOne(closed as MigrationDocument);
    const project = await projectIn(us, projectId);
    if (project === null) throw new TypeError('no project');
    await projectsOf(us).insertOne({ ...project, _id: other.projectId });
    await deleteIn(eu, projectId);
    const describeProject: RegionClient['describeProject'] = async (request, options) => {
      if (request.migrationId === other._id) throw error;
      if (client.describeProject === undefined) throw new TypeError('no client');
      return await client.describeProject(request, options);
    };
    await turn(us, 'eu', { describeProject });
    t.is((await projectIn(us, projectId))?.state, deleted);
    t.is((await projectIn(us, other.projectId))?.state, migrated);
  });
}

test('a region that has lost the project does not say that it is purged', async (t) => {
  const { us, eu, projectId, client } = await left(t);
  await projectsOf(eu).deleteMany({});
  await turn(us, 'eu', client);
  t.is((await projectIn(us, projectId))?.state, migrated);
  await migrationCollection(eu.db).deleteMany({});
  await turn(us, 'eu', client);
  t.is((await projectIn(us, projectId))?.state, migrated);
});

test('the first region of a project that has migrated twice keeps it until the last region has purged it', async (t) => {
  const { us, eu, projectId, client, record } = await left(t);
  const there = { state: migrated, migratedTo: { region: 'ap', organizationId: 'org_ap_1' } };
  await projectsOf(eu).updateOne({ _id: projectId }, { $set: there });
  const { isOpen: _, isPurging: __, ...closed } = record;
  await migrationCollection(eu.db).insertOne({
    ...{ ...closed, _id: newId('mig_eu'), side: 'source' },
    ...{ sourceRegion: 'eu', destinationRegion: 'ap' },
  });
  const ap = (purged: boolean): Partial<RegionClient> => ({
    describeProject: async () => ({ purged, indexPlaces: [] }),
  });
  await turn(eu, 'ap', ap(false));
  await turn(us, 'eu', client);
  t.is((await projectIn(us, projectId))?.state, migrated);
  await turn(eu, 'ap', ap(true));
  await turn(us, 'eu', client);
  t.is((await projectIn(us, projectId))?.state, migrated, 'the second region has not removed it');
  await purgeIn(eu);
  await turn(us, 'eu', client);
  await purgeIn(us);
  t.is(await projectIn(us, projectId), null);
});

test('a project that has come back is kept, and the region that it came back from ends it', async (t) => {
  const { us, eu, projectId, client, record } = await left(t);
  const there = { state: migrated, migratedTo: { region: 'us', organizationId: 'org_us_1' } };
  await projectsOf(eu).updateOne({ _id: projectId }, { $set: there });
  await projectsOf(us).updateOne(
    { _id: projectId },
    { $set: { state: active }, $unset: { migratedTo: '' } },
  );
  const { isOpen: _, isPurging: __, ...closed } = record;
  const back: MigrationDocument = {
    ...{ ...closed, _id: newId('mig_eu'), side: 'source', commitTime: new Date() },
    ...{ sourceRegion: 'eu', destinationRegion: 'us' },
  };
  await migrationCollection(eu.db).insertOne(back);
  await migrationCollection(us.db).insertOne({ ...back, side: 'destination' });
  let asked = 0;
  const purged: Partial<RegionClient> = {
    describeProject: async () => {
      asked++;
      return { purged: true, indexPlaces: [] };
    },
  };
  await turn(us, 'eu', purged);
  t.is(asked, 0);
  t.is((await projectIn(us, projectId))?.state, active);
  t.truthy(client);
  await deleteIn(us, projectId);
  const [found] = await migrationCollection(us.db).find({ _id: back._id }).toArray();
  t.true(found?.isProjectPurged);
  await turn(eu, 'us', purged);
  await purgeIn(eu);
  t.is(await projectIn(eu, projectId), null);
});

test('nothing ends if a purge of the source begins, or the project changes, before the answer', async (t) => {
  const { us, projectId, record } = await left(t);
  const after = (change: () => Promise<unknown>): Partial<RegionClient> => ({
    describeProject: async () => {
      await change();
      return { purged: true, indexPlaces: [] };
    },
  });
  const records = migrationCollection(us.db);
  const begin = () => records.updateOne({ _id: record._id }, { $set: { isOpen: true } });
  await turn(us, 'eu', after(begin));
  t.is((await projectIn(us, projectId))?.state, migrated);
  let asked = 0;
  await turn(
    us,
    'eu',
    after(async () => asked++),
  );
  t.is(asked, 0, 'its record is open');
  await records.updateOne({ _id: record._id }, { $unset: { isOpen: '' } });
  const comeAndGo = () => projectsOf(us).updateOne({ _id: projectId }, { $inc: { revision: 4 } });
  await turn(us, 'eu', after(comeAndGo));
  t.is((await projectIn(us, projectId))?.state, migrated);
  t.deepEqual(await us.events('deleted'), []);
});

test('every project has its turn, and every call has a deadline', async (t) => {
  const { us, projectId, record } = await left(t);
  const project = await projectIn(us, projectId);
  if (project === null) throw new TypeError('no project');
  const { isOpen: _, isPurging: __, ...closed } = record;
  const others = Array.from({ length: 150 }, () => newId('prj'));
  await projectsOf(us).insertMany(others.map((_id) => ({ ...project, _id })));
  await migrationCollection(us.db).insertMany(
    others.map((each) => ({ ...closed, _id: newId('mig_us'), projectId: each })),
  );
  const asked = new Set<string>();
  const deadlines = new Set<number | undefined>();
  let isAway = true;
  const client: Partial<RegionClient> = {
    describeProject: async ({ migrationId }, options) => {
      asked.add(migrationId);
      deadlines.add(options?.deadlineMs);
      if (isAway) throw errors.dependencyUnavailable('the region eu');
      return { purged: false, indexPlaces: [] };
    },
  };
  const oneTurn = endingMigrated(
    {
      ...us,
      migratingProjects: createMigratingProjectStore(us.db),
      regions: new Map([['eu', client as RegionClient]]),
      log: silentLogger(),
    },
    'eu',
  );
  await t.throwsAsync(oneTurn(signal()), undefined, 'the loop pauses for longer');
  t.is(asked.size, 100);
  await t.throwsAsync(oneTurn(signal()));
  t.is(asked.size, 151);
  asked.clear();
  isAway = false;
  await oneTurn(signal());
  t.is(asked.size, 151);
  t.deepEqual([...deadlines], [5_000]);
});

test('a region that does not answer delays no other region', async (t) => {
  const world = await left(t);
  const { us, eu, projectId, client, record } = world;
  const project = await projectIn(us, projectId);
  if (project === null) throw new TypeError('no project');
  const { isOpen: _, isPurging: __, ...closed } = record;
  const other = newId('prj');
  const migratedTo = { region: 'ap', organizationId: 'org_ap_1' };
  await projectsOf(us).insertOne({ ...project, _id: other, migratedTo });
  await migrationCollection(us.db).insertOne({
    ...{ ...closed, _id: newId('mig_us'), projectId: other, destinationRegion: 'ap' },
  });
  await deleteIn(eu, projectId);
  const isAsked = Promise.withResolvers<void>();
  const silent: Partial<RegionClient> = {
    describeProject: () => {
      isAsked.resolve();
      return new Promise((_, reject) => {
        stop.signal.addEventListener('abort', () => reject(stop.signal.reason), { once: true });
      });
    },
  };
  const stop = new AbortController();
  t.teardown(() => stop.abort());
  const running = endMigrated(
    {
      ...us,
      migratingProjects: createMigratingProjectStore(us.db),
      regions: new Map([
        ['ap', silent as RegionClient],
        ['eu', client as RegionClient],
      ]),
      log: silentLogger(),
    },
    stop.signal,
  );
  await isAsked.promise;
  await eventually(async () => {
    const { state } = (await projectIn(us, projectId)) ?? {};
    if (state !== deleted) throw new Error(`its state is ${state}`);
  });
  stop.abort();
  await running;
  t.is((await projectIn(us, other))?.state, migrated);
});

test('records of migrations that earlier builds have cancelled get an end at the next start', async (t) => {
  const { us, projectId, record } = await left(t);
  const { isOpen: _, isPurging: __, ...closed } = record;
  const side = 'destination' as const;
  const ofStored = { ...closed, _id: newId('mig_us'), projectId, side, state: cancelled };
  const gone = { ...ofStored, _id: newId('mig_us'), projectId: newId('prj') };
  const open = { ...gone, _id: newId('mig_us'), isOpen: true as const };
  const records = migrationCollection(us.db);
  await records.insertMany([ofStored, gone, open]);
  const migration = storeMigrations.find(({ name }) => name === 'ends-of-cancelled-records');
  t.false(await migration?.isDone(us.db));
  await migration?.run(us.db, signal());
  t.true(await migration?.isDone(us.db));
  const ends = await records.find({ goneTime: { $exists: true } }).toArray();
  t.deepEqual(
    ends.map(({ _id, projectName }) => [_id, projectName]),
    [[gone._id, record.projectName]],
  );
});

test('the purge of a project keeps the lease of a migration whose work has not ended', async (t) => {
  const { eu, projectId, record } = await left(t);
  await addLease(eu, record._id);
  const records = migrationCollection(eu.db);
  await records.updateOne({ _id: record._id }, { $set: { isOpen: true } });
  await deleteIn(eu, projectId);
  t.true((await records.findOne({ _id: record._id }))?.isProjectPurged);
  t.is(await eu.db.collection('leases').countDocuments(), 1);
});

test('the events of a source that staff has not purged are removed with the project', async (t) => {
  const { us, eu, projectId, client } = await left(t);
  t.is(await eventsOf(us.db).countDocuments(), eventCount);
  await deleteIn(eu, projectId);
  await turn(us, 'eu', client);
  await purgeIn(us);
  t.is(await eventsOf(us.db).countDocuments(), 0);
});
