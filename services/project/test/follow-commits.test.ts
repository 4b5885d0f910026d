import { MigrationState } from '@silo/protos/gen/silo/project/v1/migration.ts';
import type { RegionClient } from '@silo/service/regions.ts';
import test from 'ava';
import { getOffer } from '../handlers/peer/offers.ts';
import { followingCommits } from '../loops/follow-commits.ts';
import { runMigration } from '../migration/run-migration.ts';
import { createMigratingProjectStore } from '../store/migrating-projects.ts';
import { migrationCollection } from '../store/migrations.ts';
import { fromRegion } from './migration-support.ts';
import { hasMoved, signal, twoRegions } from './two-regions.ts';

const { MIGRATION_STATE_CUTOVER: cutover, MIGRATION_STATE_DONE: done } = MigrationState;

test('a source that has lost the report of the end asks the destination', async (t) => {
  const regions = await twoRegions(t);
  const { dependencies, us, eu } = regions;
  const { _id } = us.migration;
  let asked = 0;
  const client: Partial<RegionClient> = {
    getOffer: async (request) => {
      asked++;
      const migratingProjects = createMigratingProjectStore(eu.db);
      return await getOffer(request, fromRegion('us'), { ...eu, migratingProjects });
    },
  };
  const turn = followingCommits(
    {
      ...us,
      ...us.dependencies,
      log: dependencies.log,
      regions: new Map([['eu', client as RegionClient]]),
    },
    'eu',
  );
  await runMigration(dependencies, _id, { fence: 1, signal: signal() });
  await hasMoved(t, regions);
  // As in a backup made between the commit and the report.
  const records = migrationCollection(us.db);
  const restored = { state: cutover, isRetired: true as const };
  await records.updateOne({ _id }, { $set: restored, $unset: { finishTime: '' } });
  const there = migrationCollection(eu.db);
  await there.updateOne({ _id }, { $set: { state: cutover } });
  await turn(signal());
  t.like(await us.record(), { state: cutover, isOpen: true }, 'the destination is not done');
  await there.updateOne({ _id }, { $set: { state: done } });
  await turn(signal());
  t.like(await us.record(), { state: done, isOpen: undefined, progress: { eventsCopied: 40 } });
  t.truthy((await us.record())?.finishTime);
  await turn(signal());
  t.is(asked, 2, 'a finished migration sends no more calls');
});

test('the destination is not asked about an uncommitted attempt', async (t) => {
  const { dependencies, us } = await twoRegions(t);
  await dependencies.regions.get('us')?.beginCutover(us.attempt(1));
  const turn = followingCommits(
    { ...us, ...us.dependencies, log: dependencies.log, regions: new Map() },
    'eu',
  );
  await t.notThrowsAsync(turn(signal()));
  t.like(await us.record(), { state: cutover });
});
