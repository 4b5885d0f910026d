import { MigrationState } from '@silo/protos/gen/silo/project/v1/migration.ts';
import { ProjectState } from '@silo/protos/gen/silo/project/v1/project.ts';
import { silentLogger } from '@silo/runtime/log.ts';
import { newId } from '@silo/tokens/ids.ts';
import test from 'ava';
import { eventually } from '../../../test/harness/eventually.ts';
import { purgeSource } from '../handlers/internal/purge-source.ts';
import { endHolds } from '../loops/end-holds.ts';
import type { MigrationDocument, ProjectDocument } from '../store/documents.ts';
import { migrationCollection } from '../store/migrations.ts';
import { fromRegion, offered } from './migration-support.ts';

test('a token that cannot be retired does not prevent the retirement of others', async (t) => {
  const world = await offered(t);
  const { migration, db, dependencies, migrations } = world;
  const records = migrationCollection(db);
  const committed = (): MigrationDocument => ({
    ...migration,
    ...{ _id: newId('mig_us'), projectId: newId('prj'), commitTime: new Date() },
    state: MigrationState.MIGRATION_STATE_DONE,
  });
  const [failing, ...others] = [committed(), committed(), committed()];
  await records.insertMany([failing, ...others]);
  const secrets = {
    retireProjectToken: async ({ correlationId }: { correlationId: string }) => {
      if (correlationId === failing._id) throw new Error('no answer');
      return {};
    },
  };
  const stop = new AbortController();
  t.teardown(() => stop.abort());
  const running = endHolds(
    { ...dependencies, migrations, secrets, log: silentLogger() },
    stop.signal,
  );
  await eventually(async () => {
    const open = await records.find({ isOpen: true, commitTime: { $exists: true } }).toArray();
    const ids = open.map(({ _id }) => _id);
    if (ids.length !== 1 || ids[0] !== failing._id) throw new Error(`open: ${ids}`);
  });
  stop.abort();
  await running;
  t.like(await records.findOne({ _id: failing._id }), { isOpen: true, isRetired: undefined });
});

test('a process with an older list of ended cutovers closes no record that a purge has opened since', async (t) => {
  const world = await offered(t);
  const { migration, db, dependencies, migrations } = world;
  const { _id: migrationId, projectId } = migration;
  const records = migrationCollection(db);
  const ended = { state: MigrationState.MIGRATION_STATE_DONE, commitTime: new Date() };
  await records.updateOne({ _id: migrationId }, { $set: ended });
  const state = ProjectState.PROJECT_STATE_MIGRATED;
  await db
    .collection<ProjectDocument>('projects')
    .updateOne({ _id: projectId }, { $set: { state } });
  const stop = new AbortController();
  t.teardown(() => stop.abort());
  let isAsked = false;
  // Before this process writes, another one ends the cutover, and staff purges the source.
  const retireProjectToken = async () => {
    if (isAsked) return {};
    isAsked = true;
    await records.updateOne(
      { _id: migrationId },
      { $set: { isRetired: true }, $unset: { isOpen: '' } },
    );
    await purgeSource({ migrationId }, fromRegion('us'), dependencies);
    return {};
  };
  const decided = Promise.withResolvers<void>();
  const eventLog: typeof dependencies.eventLog = Object.create(dependencies.eventLog);
  eventLog.decide = async (mutation, by) => {
    const outcome = await dependencies.eventLog.decide(mutation, by);
    decided.resolve();
    return outcome;
  };
  const secrets = { retireProjectToken };
  const late = { ...dependencies, eventLog, migrations, secrets, log: silentLogger() };
  const running = endHolds(late, stop.signal);
  await decided.promise;
  stop.abort();
  await running;
  t.like(await records.findOne({ _id: migrationId }), { isOpen: true, isPurging: true });
});
