import { MigrationState } from '@silo/protos/gen/silo/project/v1/migration.ts';
import type { RegionClient } from '@silo/service/regions.ts';
import { newId } from '@silo/tokens/ids.ts';
import test from 'ava';
import { eventually } from '../../../test/harness/eventually.ts';
import { following, followOffers } from '../loops/follow-offers.ts';
import type { MigrationDocument } from '../store/documents.ts';
import { migrationCollection } from '../store/migrations.ts';
import { stateIn, twoRegions } from './two-regions.ts';

const { MIGRATION_STATE_ACCEPTED: accepted, MIGRATION_STATE_CANCELLED: cancelled } = MigrationState;
const { MIGRATION_STATE_FAILED: failed } = MigrationState;

test('a region that does not answer does not delay noticing the end of another region’s offer', async (t) => {
  const regions = await twoRegions(t);
  const { dependencies, us, eu } = regions;
  const records = migrationCollection(eu.db);
  const { _id: migrationId } = us.migration;
  const record = await records.findOneAndDelete({ _id: migrationId });
  if (record === null) throw new TypeError('there is no record');
  const fromAp = (): MigrationDocument => ({
    ...record,
    ...{ _id: newId('mig_us'), projectId: newId('prj'), sourceRegion: 'ap', state: accepted },
  });
  await records.insertMany(Array.from({ length: 120 }, fromAp));
  await records.insertOne({ ...record, state: accepted });
  await dependencies.regions.get('us')?.cancelOffer({ migrationId, actor: '' });
  const over = Promise.withResolvers<never>();
  over.promise.catch(() => {});
  let asked = 0;
  const ap: Partial<RegionClient> = {
    noteProgress: async () => {
      asked++;
      return await over.promise;
    },
  };
  const both = new Map([...dependencies.regions, ['ap', ap as RegionClient]]);
  const stop = new AbortController();
  t.teardown(() => stop.abort());
  const running = followOffers({ ...dependencies, regions: both }, stop.signal);
  await eventually(async () => {
    const { state } = (await stateIn(regions)).record ?? {};
    if (state !== cancelled) throw new Error(`it is in the state ${state}`);
    if (asked < 4) throw new Error(`ap has got ${asked} calls`);
  });
  t.is(asked, 4, 'a few at a time');
  stop.abort();
  over.reject(new Error('no answer'));
  await running;
});

test('offers beyond one page are followed in later turns, and then the first again', async (t) => {
  const regions = await twoRegions(t);
  const { dependencies, us, eu } = regions;
  const records = migrationCollection(eu.db);
  const record = await records.findOneAndDelete({ _id: us.migration._id });
  if (record === null) throw new TypeError('there is no record');
  const offers = Array.from(
    { length: 120 },
    (): MigrationDocument => ({
      ...record,
      ...{ _id: newId('mig_us'), projectId: newId('prj'), state: accepted },
    }),
  );
  await records.insertMany(offers);
  const ids = offers.map(({ _id }) => _id).sort();
  const asked: string[] = [];
  const client: Partial<RegionClient> = {
    noteProgress: async ({ migration }) => {
      asked.push(migration?.id ?? '');
      return { migration };
    },
  };
  const there = new Map([['us', client as RegionClient]]);
  const follow = following({ ...dependencies, regions: there }, 'us');
  for (const some of [ids.slice(0, 100), ids.slice(100), ids.slice(0, 100)]) {
    asked.length = 0;
    await follow(AbortSignal.timeout(600_000));
    t.deepEqual(asked.sort(), some);
  }
});

test('a process with an older list of offers sends no outdated record to the source', async (t) => {
  const { dependencies, us, eu } = await twoRegions(t);
  const records = migrationCollection(eu.db);
  const record = await records.findOne({ _id: us.migration._id });
  if (record === null) throw new TypeError('there is no record');
  const before = await us.record();
  // Staff has retried it since.
  const revision = record.revision - 1;
  const openAfter = async () => [{ ...record, revision, state: failed, failure: 'No room.' }];
  const older = { ...dependencies, migrations: { ...dependencies.migrations, openAfter } };
  await following(older, 'us')(AbortSignal.timeout(600_000));
  t.deepEqual(await us.record(), before);
});
