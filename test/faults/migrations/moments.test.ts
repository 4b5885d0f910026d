import { testDatabase } from '@silo/mongo/test/support.ts';
import { MigrationState } from '@silo/protos/gen/silo/project/v1/migration.ts';
import test, { type ExecutionContext } from 'ava';
import { watchMoments } from './moments.ts';

const id = 'mig_us_1';
const { MIGRATION_STATE_COPYING: copying, MIGRATION_STATE_VERIFYING: verifying } = MigrationState;
const { MIGRATION_STATE_CANCELLED: cancelled } = MigrationState;

/** Both ends of a migration, and the record at the destination. */
async function ends(t: ExecutionContext) {
  const { name, connect } = await testDatabase(t);
  const { client: mongo } = (await connect()).db;
  t.teardown(() => mongo.db(`${name}_project`).dropDatabase());
  const records = mongo
    .db(`${name}_project`)
    .collection<{ _id: string; state: MigrationState }>('project_migrations');
  await records.insertOne({ _id: id, state: copying });
  const end = { mongo, databasePrefix: name };
  const become = (state: MigrationState) => records.updateOne({ _id: id }, { $set: { state } });
  return { both: { from: end, to: end }, become };
}

test('a moment that a migration does not reach is reported, with the state of the migration', async (t) => {
  const { both } = await ends(t);
  await using watching = await watchMoments(both);
  const message = "MIGRATION_STATE_COPYING after 1 ms without the moment 'scanned'";
  await t.throwsAsync(watching.reached('scanned', id, 1), { message });
  const unknown = "no record after 1 ms without the moment 'held'";
  await t.throwsAsync(watching.reached('held', 'mig_us_2', 1), { message: unknown });
});

test('a moment is reached however short it is; one that the migration skips is reported', async (t) => {
  const { both, become } = await ends(t);
  await using watching = await watchMoments(both);
  await become(verifying);
  await become(cancelled);
  await watching.reached('scanned', id);
  const message = "MIGRATION_STATE_CANCELLED without the moment 'held'";
  await t.throwsAsync(watching.reached('held', id), { message });
});
