import { errors } from '@silo/errors/errors.ts';
import { MigrationState } from '@silo/protos/gen/silo/project/v1/migration.ts';
import type { RegionClient } from '@silo/service/regions.ts';
import { newId } from '@silo/tokens/ids.ts';
import test, { type ExecutionContext } from 'ava';
import { purgeSource } from '../handlers/internal/purge-source.ts';
import { rollbackMigration } from '../handlers/internal/rollback-migration.ts';
import { offerRollback } from '../handlers/peer/offer-rollback.ts';
import { cancelOffer } from '../handlers/peer/offers.ts';
import { migrationMessage } from '../messages.ts';
import { createEventEstimate } from '../store/event-estimate.ts';
import { createMigratingProjectStore } from '../store/migrating-projects.ts';
import { migrationCollection } from '../store/migrations.ts';
import { fromRegion } from './migration-support.ts';
import { migratedProject } from './purge-support.ts';
import { refusalOf } from './support.ts';

const { MIGRATION_STATE_ACCEPTED: accepted, MIGRATION_STATE_CANCELLED: cancelled } = MigrationState;
const { MIGRATION_STATE_COPYING: copying } = MigrationState;

/**
 * A project that has migrated from `us` to `eu`. Staff of `us` rolls it back, or purges the source.
 */
async function migrated(t: ExecutionContext) {
  const world = await migratedProject(t);
  const { us, eu, record, projectId } = world;
  const { _id: migrationId, sourceOrganizationId } = record;
  const [here, there] = [migrationCollection(us.db), migrationCollection(eu.db)];
  await here.updateOne({ _id: migrationId }, { $unset: { isOpen: '', isPurging: '' } });
  await us.db
    .collection<{ _id: string }>('slots')
    .updateOne({ _id: sourceOrganizationId }, { $set: { limit: null } });
  const dependencies = {
    ...{ ...eu, region: 'eu' as const, migratingProjects: createMigratingProjectStore(eu.db) },
    estimateEvents: createEventEstimate(eu.db),
  };
  const client: Partial<RegionClient> = {
    ...world.client,
    offerRollback: (request) => offerRollback(request, fromRegion('us'), dependencies),
    cancelOffer: (request) => cancelOffer(request, fromRegion('us'), dependencies),
  };
  return {
    ...{ ...world, migrationId, client },
    rollBack: async (others: Partial<RegionClient> = {}) => {
      const regions = new Map([['eu', { ...client, ...others } as RegionClient]]);
      const call = fromRegion('us');
      return await rollbackMigration({ migrationId }, call, {
        ...us,
        region: 'us' as const,
        regions,
      });
    },
    beginPurge: () =>
      purgeSource({ migrationId }, fromRegion('us'), {
        ...{ ...us, migratingProjects: createMigratingProjectStore(us.db) },
      }),
    /** The records of the rollback in both regions, open or not. */
    waysBack: async () => {
      const backs = { projectId, _id: { $ne: migrationId } };
      return [await here.find(backs).toArray(), await there.find(backs).toArray()] as const;
    },
    /** The open records in the other region. */
    openThere: () => eu.migrations.findOpen(projectId, AbortSignal.timeout(600_000)),
  };
}

/** Offers the rollback, and lets the purge begin before that is known here. */
function purgedMeanwhile({ client, beginPurge }: Awaited<ReturnType<typeof migrated>>) {
  const offer: RegionClient['offerRollback'] = async (request, options) => {
    const offered = await client.offerRollback?.(request, options);
    await beginPurge();
    return offered ?? { migration: undefined };
  };
  return { offerRollback: offer };
}

test('a rollback that a purge prevents leaves no offer in the other region', async (t) => {
  const world = await migrated(t);
  const refused = await refusalOf(world.rollBack(purgedMeanwhile(world)));
  t.is(refused.reasonName, 'MIGRATION_STATE');
  t.regex(refused.message, /its source is being purged: roll it back if the purge is given up\.$/);
  const [here, there] = await world.waysBack();
  t.deepEqual(here, []);
  t.like(there, [{ state: cancelled, isOpen: undefined }]);
  t.is(await world.openThere(), undefined, 'the project may migrate from there');
});

test('if that offer cannot be cancelled, the refusal names it, and the purge ends it', async (t) => {
  const world = await migrated(t);
  const cancelOffer = async () => {
    throw errors.dependencyUnavailable('eu');
  };
  const rollback = world.rollBack({ ...purgedMeanwhile(world), cancelOffer });
  const refused = await refusalOf(rollback);
  t.is(refused.reasonName, 'MIGRATION_STATE');
  const open = await world.openThere();
  t.like(open, { state: accepted, side: 'source' });
  const advice = `its source is purged or being purged. Cancel ${open?._id} in eu, which still offers the rollback.`;
  t.true(refused.message.endsWith(advice), refused.message);
  t.deepEqual(await world.purge(), { failure: undefined, left: 0 });
  const [, there] = await world.waysBack();
  t.like(there, [{ state: cancelled, isOpen: undefined }]);
  t.regex(there[0]?.failure ?? '', /is purged/);
});

test('an offer that remains after a failed purge is used by the next rollback', async (t) => {
  const world = await migrated(t);
  const cancelOffer = async () => {
    throw errors.dependencyUnavailable('eu');
  };
  await refusalOf(world.rollBack({ ...purgedMeanwhile(world), cancelOffer }));
  const open = await world.openThere();
  const failing = async () => {
    throw errors.dependencyUnavailable('eu');
  };
  t.regex((await world.purge({ describeProject: failing })).failure ?? '', /did not answer/);
  const { migration } = await world.rollBack();
  t.like(migration, { id: open?._id, state: copying });
});

test('a rollback that another migration here prevents leaves no offer either', async (t) => {
  const world = await migrated(t);
  const { record, us } = world;
  const other = newId('mig_us');
  const offerThen: RegionClient['offerRollback'] = async (request, options) => {
    const offered = await world.client.offerRollback?.(request, options);
    const coming = { ...record, _id: other, side: 'destination', state: accepted } as const;
    await migrationCollection(us.db).insertOne({ ...coming, isOpen: true });
    return offered ?? { migration: undefined };
  };
  const refused = await refusalOf(world.rollBack({ offerRollback: offerThen }));
  t.is(refused.reasonName, 'MIGRATION_IN_PROGRESS');
  t.is(refused.metadata.migration_id, other);
  t.is(await world.openThere(), undefined);
});

test('a purge that a rollback prevents names the rollback, its state, and what to do', async (t) => {
  const world = await migrated(t);
  const { migration } = await world.rollBack();
  const { id = '' } = migration ?? {};
  const here = migrationCollection(world.us.db);
  const refusalIn = async (state: MigrationState) => {
    await here.updateOne({ _id: id }, { $set: { state } });
    const { reasonName, message } = await refusalOf(world.beginPurge());
    t.is(reasonName, 'MIGRATION_STATE');
    return message;
  };
  const rollback = `its rollback ${id} is`;
  const mayCancel = 'await its end, or cancel it and purge again';
  const texts: [MigrationState, string][] = [
    [copying, `${rollback} COPYING: ${mayCancel}`],
    [MigrationState.MIGRATION_STATE_VERIFYING, `${rollback} VERIFYING: ${mayCancel}`],
    [MigrationState.MIGRATION_STATE_CUTOVER, `${rollback} CUTOVER: await its end`],
    [
      MigrationState.MIGRATION_STATE_FAILED,
      `${rollback} FAILED: retry it, or cancel it and purge again`,
    ],
    [MigrationState.MIGRATION_STATE_DONE, `it was rolled back by ${id}`],
  ];
  for (const [state, text] of texts) {
    const message = await refusalIn(state);
    t.true(message.endsWith(`: ${text}.`), message);
  }
  await here.updateOne({ _id: id }, { $set: { state: cancelled }, $unset: { isOpen: '' } });
  t.true((await world.beginPurge()).migration?.purging);
});

test('a purge is refused with the reason until the token is retired here', async (t) => {
  const world = await migrated(t);
  const here = migrationCollection(world.us.db);
  await here.updateOne({ _id: world.migrationId }, { $set: { isOpen: true } });
  const refused = await refusalOf(world.beginPurge());
  t.is(refused.reasonName, 'NOT_READY');
  t.regex(
    refused.message,
    /^Not ready yet: the purge waits until the token service has retired the/,
  );
  await here.updateOne({ _id: world.migrationId }, { $unset: { isOpen: '' } });
  t.true((await world.beginPurge()).migration?.purging);
});

test('a rollback is recorded as running until it is done, and removed when it is cancelled', async (t) => {
  const world = await migrated(t);
  const { us, eu, migrationId, client } = world;
  const both = async () =>
    await Promise.all(
      [us, eu].map(async ({ db }) => {
        const found = await migrationCollection(db).findOne({ _id: migrationId });
        if (found === null) throw new TypeError('no record');
        const { rolledBackBy, rollingBack } = migrationMessage(found);
        return { rolledBackBy, rollingBack };
      }),
    );
  const end = async (
    { eventLog, migrations, db }: typeof us,
    id: string,
    state: MigrationState,
  ) => {
    const record = await migrationCollection(db).findOne({ _id: id });
    if (record === null) throw new TypeError('no record');
    const signal = AbortSignal.timeout(600_000);
    const mutation = { id, actor: 'test', signal, authorization: undefined };
    await eventLog.decide(mutation, (tx) => migrations.write(tx, record, { state }));
  };
  const none = { rolledBackBy: '', rollingBack: false };
  t.deepEqual(await both(), [none, none]);
  const { id: first = '' } = (await world.rollBack()).migration ?? {};
  const running = { rolledBackBy: first, rollingBack: true };
  t.deepEqual(await both(), [running, running]);
  await client.cancelOffer?.({ migrationId: first, actor: '' });
  t.deepEqual(await both(), [running, none]);
  await end(us, first, cancelled);
  t.deepEqual(await both(), [none, none]);
  await migrationCollection(us.db).updateOne({ _id: first }, { $unset: { isOpen: '' } });
  const { id: second = '' } = (await world.rollBack()).migration ?? {};
  t.not(second, first);
  for (const region of [us, eu]) {
    await end(region, first, cancelled);
    await end(region, second, MigrationState.MIGRATION_STATE_DONE);
  }
  const over = { rolledBackBy: second, rollingBack: false };
  t.deepEqual(await both(), [over, over]);
});

test('the last migration of a project is the one that was committed last by the database’s clock', async (t) => {
  const world = await migrated(t);
  const { us, record, migrationId } = world;
  const here = migrationCollection(us.db);
  const { requestTime } = record;
  const at = (seconds: number) => new Date(requestTime.getTime() + seconds * 1_000);
  await here.updateOne({ _id: migrationId }, { $set: { commitTime: at(20) } });
  // An earlier stay, requested at a process whose clock was ahead.
  const { isOpen: _, isPurging: __, ...ended } = record;
  const earlier = { ...ended, _id: newId('mig_us'), requestTime: at(30), commitTime: at(10) };
  await here.insertOne(earlier);
  t.true((await world.beginPurge()).migration?.purging);
});
