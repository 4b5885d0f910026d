import { MigrationState } from '@silo/protos/gen/silo/project/v1/migration.ts';
import test from 'ava';
import { describeProject } from '../handlers/peer/offers.ts';
import { requireReadable } from '../handlers/peer/peer-records.ts';
import { createEventEstimate } from '../store/event-estimate.ts';
import { migrationCollection } from '../store/migrations.ts';
import { fromEu, fromRegion, offered } from './migration-support.ts';
import { refusalOf } from './support.ts';

test('a third region can read neither events nor the project', async (t) => {
  const { migration, migrations, db, ...world } = await offered(t);
  const { _id: migrationId, projectId } = migration;
  const dependencies = { ...world.dependencies, estimateEvents: createEventEstimate(db) };
  const countsEvents = false;
  for (const side of ['source', 'destination'] as const) {
    const regions =
      side === 'source'
        ? { sourceRegion: 'us', destinationRegion: 'eu' }
        : { sourceRegion: 'eu', destinationRegion: 'us' };
    await migrationCollection(db).updateOne({ _id: migrationId }, { $set: { side, ...regions } });
    t.is(
      (await requireReadable(migrations, migrationId, 'compare', fromEu())).projectId,
      projectId,
    );
    t.false((await describeProject({ migrationId, countsEvents }, fromEu(), dependencies)).purged);
    for (const hidden of [
      requireReadable(migrations, migrationId, 'copy', fromRegion('ap')),
      requireReadable(migrations, migrationId, 'compare', fromRegion('ap')),
      describeProject({ migrationId, countsEvents }, fromRegion('ap'), dependencies),
    ]) {
      t.is((await refusalOf(hidden)).reasonName, 'MIGRATION_NOT_FOUND');
    }
  }
});

test('after a migration its events can be compared, but not read', async (t) => {
  const { migration, migrations, db } = await offered(t);
  const { _id: migrationId, projectId } = migration;
  const state = MigrationState.MIGRATION_STATE_DONE;
  await migrationCollection(db).updateOne({ _id: migrationId }, { $set: { state } });
  t.is((await requireReadable(migrations, migrationId, 'compare', fromEu())).projectId, projectId);
  const refused = await refusalOf(requireReadable(migrations, migrationId, 'copy', fromEu()));
  t.is(refused.reasonName, 'MIGRATION_STATE');
});
