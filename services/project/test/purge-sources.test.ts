import { errors } from '@silo/errors/errors.ts';
import type { RegionClient } from '@silo/service/regions.ts';
import { newId } from '@silo/tokens/ids.ts';
import test, { type ExecutionContext } from 'ava';
import { eventually } from '../../../test/harness/eventually.ts';
import { purgeSources } from '../loops/purge-sources.ts';
import { migrationMessage } from '../messages.ts';
import type { ProjectDocument } from '../store/documents.ts';
import { migrationCollection } from '../store/migrations.ts';
import { type Migrated, migratedProject } from './purge-support.ts';

/** A region that does not answer. */
const silent = new Proxy({} as RegionClient, {
  get: () => () => Promise.reject(errors.dependencyUnavailable('the region ap')),
});

/**
 * Purges of another region's copies that were begun earlier, of projects that are stored or not.
 */
async function beginBefore(
  { us, record, projectId }: Migrated,
  { region, isStored }: { region: string; isStored: boolean },
): Promise<string[]> {
  const records = migrationCollection(us.db);
  const projects = us.db.collection<ProjectDocument>('projects');
  const project = await projects.findOne({ _id: projectId });
  if (project === null) throw new TypeError('no project');
  const others = Array.from({ length: 12 }, () => ({
    ...record,
    ...{ _id: newId('mig_us'), projectId: newId('prj'), destinationRegion: region },
  }));
  await records.deleteOne({ _id: record._id });
  await records.insertMany([...others, record]);
  if (isStored) {
    await projects.insertMany(others.map((other) => ({ ...project, _id: other.projectId })));
  }
  return others.map(({ _id }) => _id);
}

/**
 * Runs the loop until every copy that the other region has completely is purged. Returns the other
 * records.
 */
async function untilPurged(
  t: ExecutionContext,
  world: Migrated,
  others: readonly string[],
  isSeen = async () => {},
) {
  const { us, record, purging } = world;
  const records = migrationCollection(us.db);
  const stop = new AbortController();
  t.teardown(() => stop.abort());
  const regions = new Map([...purging.regions, ['ap', silent] as const]);
  const running = purgeSources({ ...purging, regions, owner: 'one' }, stop.signal);
  await eventually(async () => {
    const now = await records.findOne({ _id: record._id });
    if (now?.purgeTime === undefined) throw new Error(`it is not purged: ${now?.failure}`);
    await isSeen();
  });
  stop.abort();
  await running;
  return await records.find({ _id: { $in: [...others] } }).toArray();
}

test('a region that does not answer does not delay purges of copies in another one', async (t) => {
  const world = await migratedProject(t);
  const others = await beginBefore(world, { region: 'ap', isStored: true });
  const left = await untilPurged(t, world, others);
  t.is(left.length, others.length);
  t.true(left.every(({ isPurging, failure }) => isPurging && failure === undefined));
});

test('a purge that fails here is postponed with its reason, and others have their turn', async (t) => {
  const world = await migratedProject(t);
  const others = await beginBefore(world, { region: 'eu', isStored: false });
  const filter = { _id: { $in: others }, 'putOff.tries': { $gte: 1 } };
  const left = await untilPurged(t, world, others, async () => {
    const count = await migrationCollection(world.us.db).countDocuments(filter);
    if (count < others.length) throw new Error(`${count} were postponed`);
  });
  for (const record of left)
    t.regex(migrationMessage(record).failure, /^The region us failed: its/);
});
