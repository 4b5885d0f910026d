import { errors } from '@silo/errors/errors.ts';
import { MigrationState } from '@silo/protos/gen/silo/project/v1/migration.ts';
import type { RegionClient } from '@silo/service/regions.ts';
import { newId } from '@silo/tokens/ids.ts';
import test, { type ExecutionContext } from 'ava';
import { eventually } from '../../../test/harness/eventually.ts';
import { cancelMigration, retryMigration } from '../handlers/internal/migration-staff.ts';
import { driveMigrations } from '../loops/drive-migrations.ts';
import { migrationMessage } from '../messages.ts';
import { runMigration } from '../migration/run-migration.ts';
import type { WorkDependencies } from '../migration/work.ts';
import type { MigrationDocument } from '../store/documents.ts';
import { migrationCollection } from '../store/migrations.ts';
import { captured, insert } from './event-support.ts';
import { fromRegion } from './migration-support.ts';
import { hasMoved, signal, stateIn, type TwoRegions, twoRegions } from './two-regions.ts';

/** A region that fails every call with this error. */
function refusing(refusal: Error): RegionClient {
  return new Proxy({} as RegionClient, { get: () => () => Promise.reject(refusal) });
}

/** A region that does not answer. */
const silent = refusing(errors.dependencyUnavailable('the region ap'));

/** Records of migrations from `ap`, older than the one from `us`. */
async function addOthers({ us, eu }: TwoRegions, count: number): Promise<string[]> {
  const [record] = await migrationCollection(eu.db).find().toArray();
  if (record === undefined) throw new TypeError('there is no record');
  const others = Array.from(
    { length: count },
    (): MigrationDocument => ({
      ...record,
      ...{ _id: newId('mig_us'), projectId: newId('prj'), sourceRegion: 'ap' },
    }),
  );
  const records = migrationCollection(eu.db);
  await records.deleteOne({ _id: us.migration._id });
  await records.insertMany([...others, record]);
  return others.map(({ _id }) => _id);
}

const unusable: [string, RegionClient, RegExp][] = [
  ['is gone', silent, /^The region ap did not answer\./],
  [
    'does not know them',
    refusing(errors.migrationNotFound('mig_ap_1')),
    /^The region ap refused with MIGRATION_NOT_FOUND\./,
  ],
];

for (const [what, ap, why] of unusable) {
  test(`migrations whose source ${what} are postponed with the reason, and others have their turn`, async (t) => {
    const regions = await twoRegions(t);
    const { dependencies, us, eu } = regions;
    const others = await addOthers(regions, 9);
    const both = new Map([...dependencies.regions, ['ap', ap]]) as WorkDependencies['regions'];
    const stop = new AbortController();
    t.teardown(() => stop.abort());
    const driving = driveMigrations({ ...dependencies, regions: both, owner: 'one' }, stop.signal);
    await eventually(async () => {
      const { record } = await stateIn(regions);
      if (record?.isOpen) throw new Error(`${us.migration._id} is in the state ${record.state}`);
      const tried = { _id: { $in: others }, 'putOff.tries': { $gte: 1 } };
      const count = await migrationCollection(eu.db).countDocuments(tried);
      if (count < others.length) throw new Error(`${count} were postponed`);
    });
    await hasMoved(t, regions);
    stop.abort();
    await driving;
    const records = await migrationCollection(eu.db)
      .find({ _id: { $in: others } })
      .toArray();
    t.is(records.length, others.length);
    for (const record of records) {
      t.true((record.putOff?.tries ?? 0) >= 1);
      t.regex(migrationMessage(record).failure, why);
    }
  });
}

test('a source that did not answer is called again later, and the migration continues', async (t) => {
  const regions = await twoRegions(t);
  const { dependencies, us, eu } = regions;
  const { _id: id } = us.migration;
  const gone = { ...dependencies, regions: new Map([['us', silent]]) };
  await runMigration(gone, id, { fence: 1, signal: signal() });
  const { record } = await stateIn(regions);
  t.is(record?.putOff?.tries, 1);
  const untilMs = record?.putOff?.until.getTime() ?? 0;
  t.true(untilMs > Date.now() - 60_000);
  // A process that must not call yet does nothing.
  const later = { putOff: { tries: 1, until: new Date(Date.now() + 3_600_000) } };
  await migrationCollection(eu.db).updateOne({ _id: id }, { $set: later });
  await runMigration(dependencies, id, { fence: 2, signal: signal() });
  t.like((await stateIn(regions)).record, { fence: 1, ...later });
  await migrationCollection(eu.db).updateOne(
    { _id: id },
    { $set: { 'putOff.until': new Date(0) } },
  );
  await runMigration(dependencies, id, { fence: 3, signal: signal() });
  await hasMoved(t, regions);
  t.is((await stateIn(regions)).record?.putOff, undefined);
});

test('the end of a migration is postponed if its source does not record it', async (t) => {
  const regions = await twoRegions(t);
  const { dependencies, us } = regions;
  const client = dependencies.regions.get('us');
  if (client === undefined) throw new TypeError('no client');
  let isSilent = true;
  const noteProgress: RegionClient['noteProgress'] = async (request, options) => {
    if (isSilent) throw errors.dependencyUnavailable('the region us');
    return await client.noteProgress(request, options);
  };
  const deaf = { ...dependencies, regions: new Map([['us', { ...client, noteProgress }]]) };
  await runMigration(deaf, us.migration._id, { fence: 1, signal: signal() });
  t.like((await stateIn(regions)).record, { isOpen: true, putOff: { tries: 1 } });
  isSilent = false;
  await eventually(async () => {
    await runMigration(deaf, us.migration._id, { fence: 2, signal: signal() });
    if ((await stateIn(regions)).record?.isOpen) throw new Error('it is still open');
  });
  await hasMoved(t, regions);
  t.is((await us.record())?.failure, undefined, 'a past reason is not recorded');
});

test('a failure of this region is not recorded as one of the source', async (t) => {
  const regions = await twoRegions(t);
  const { dependencies, us } = regions;
  const failing: WorkDependencies['openCopy'] = async () => {
    throw errors.dependencyUnavailable('mongodb');
  };
  const id = us.migration._id;
  await runMigration({ ...dependencies, openCopy: failing }, id, { fence: 1, signal: signal() });
  const why = (await stateIn(regions)).record?.putOff?.why ?? '';
  t.regex(why, /^The region eu failed with DEPENDENCY_UNAVAILABLE: its log says more\./);
});

test('pauses without progress grow up to a minute, and their reason is shown meanwhile', async (t) => {
  const regions = await twoRegions(t);
  const { dependencies, us, eu } = regions;
  const { _id } = us.migration;
  const client = dependencies.regions.get('us');
  if (client === undefined) throw new TypeError('no client');
  const revision = async () => (await stateIn(regions)).record?.revision ?? 0;
  const describeProject: RegionClient['describeProject'] = async () => {
    const before = await revision();
    await eventually(async () => {
      if ((await revision()) < before + 2) throw new Error('the progress is not reported yet');
    });
    throw errors.projectNotFound(us.migration.projectId);
  };
  const failing = { ...dependencies, regions: new Map([['us', { ...client, describeProject }]]) };
  const records = migrationCollection(eu.db);
  const run = async (by: WorkDependencies, fence: number) => {
    await records.updateOne({ _id }, { $set: { 'putOff.until': new Date(0) } });
    await runMigration(by, _id, { fence, signal: signal() });
    return (await stateIn(regions)).record?.putOff;
  };
  await records.updateOne({ _id }, { $set: { 'putOff.tries': 50 } });
  const gone = await run({ ...dependencies, regions: new Map([['us', silent]]) }, 1);
  t.is(gone?.tries, 51);
  t.true((gone?.until.getTime() ?? 0) <= Date.now() + 60_000);
  const first = await run(failing, 2);
  t.like(first, { tries: 1 }, 'events were copied');
  t.regex(first?.why ?? '', /^The region us refused with PROJECT_NOT_FOUND\./);
  t.like(await run(failing, 3), { tries: 2 });
  const seen: (string | undefined)[] = [];
  const beginCutover: RegionClient['beginCutover'] = async (request, options) => {
    seen.push((await stateIn(regions)).record?.putOff?.why);
    return await client.beginCutover(request, options);
  };
  await run({ ...dependencies, regions: new Map([['us', { ...client, beginCutover }]]) }, 4);
  t.deepEqual(seen, [undefined]);
  await hasMoved(t, regions);
});

/** Runs consecutive turns of a migration, none of which reaches the cutover. */
async function failingTurns(t: ExecutionContext) {
  const regions = await twoRegions(t);
  const { dependencies, us, eu } = regions;
  const { _id } = us.migration;
  const client = dependencies.regions.get('us');
  if (client === undefined) throw new TypeError('no client');
  const gone = () => Promise.reject(errors.dependencyUnavailable('the region us'));
  let fence = 0;
  /**
   * One turn, which ends before the cutover or once the events are copied. Returns its number of
   * tries.
   */
  const run = async ({ until = 'cutover', before = async () => {} } = {}) => {
    const describeProject: RegionClient['describeProject'] = async () => {
      await before();
      return await gone();
    };
    const openCopy: WorkDependencies['openCopy'] = async (...args) => {
      const copy = await dependencies.openCopy(...args);
      if (until === 'copied') copy.verifyAgain = gone;
      return copy;
    };
    const failing = {
      ...dependencies,
      openCopy,
      regions: new Map([['us', { ...client, describeProject }]]),
    };
    await migrationCollection(eu.db).updateOne({ _id }, { $set: { 'putOff.until': new Date(0) } });
    await runMigration(failing, _id, { fence: ++fence, signal: signal() });
    return (await stateIn(regions)).record?.putOff?.tries;
  };
  return { regions, run };
}

test('progress of the last comparison resets the pause', async (t) => {
  const { run } = await failingTurns(t);
  t.is(await run({ until: 'copied' }), 1);
  t.is(await run({ until: 'copied' }), 2, 'nothing was left to copy');
  t.is(await run(), 1, 'everything was compared once more');
  t.is(await run(), 2, 'nothing was left to compare');
});

test('captures that are applied meanwhile do not reset the pause', async (t) => {
  const { regions, run } = await failingTurns(t);
  const { us } = regions;
  t.is(await run(), 1);
  const count = 1_100;
  const capture = async (index: number) => {
    const before = (await stateIn(regions)).events;
    const batch = Array.from({ length: count }, (_, each) =>
      captured({ each }, index * 10_000 + each),
    );
    await insert(us.captured, us.migration.projectId, batch);
    await eventually(async () => {
      const { events } = await stateIn(regions);
      if (events < before + count) throw new Error(`${events} events were applied`);
    });
  };
  t.is(await run({ before: () => capture(1) }), 2);
  t.is(await run({ before: () => capture(2) }), 3);
  t.is(await run(), 4);
});

test('a retry by staff begins immediately, regardless of the remaining pause', async (t) => {
  const regions = await twoRegions(t);
  const { dependencies, us, eu } = regions;
  const { _id: migrationId } = us.migration;
  const given = {
    state: MigrationState.MIGRATION_STATE_FAILED,
    putOff: { tries: 9, until: new Date(Date.now() + 3_600_000) },
  };
  await migrationCollection(eu.db).updateOne({ _id: migrationId }, { $set: given });
  await retryMigration({ migrationId, discardUnmatched: false }, fromRegion('eu'), dependencies);
  await runMigration(dependencies, migrationId, { fence: 1, signal: signal() });
  await hasMoved(t, regions);
});

/** The response of a source that was restored to a time before the migration. */
const forgetful = refusing(errors.migrationNotFound('mig_us_1'));

test('staff of the destination can cancel a migration that its source does not know any more', async (t) => {
  const regions = await twoRegions(t);
  const { us, eu } = regions;
  const dependencies = { ...regions.dependencies, regions: new Map([['us', forgetful]]) };
  const { _id: migrationId } = us.migration;
  await runMigration(dependencies, migrationId, { fence: 1, signal: signal() });
  t.like((await stateIn(regions)).record, { isOpen: true, putOff: { tries: 1 } });
  await cancelMigration({ migrationId }, fromRegion('eu'), dependencies);
  await runMigration(dependencies, migrationId, { fence: 2, signal: signal() });
  const record = await migrationCollection(eu.db).findOne({ _id: migrationId });
  t.is(record?.state, MigrationState.MIGRATION_STATE_CANCELLED);
  t.deepEqual([record?.isOpen, record?.putOff, record?.hasSlot], [undefined, undefined, undefined]);
});

test('a finished migration ends even if its source does not know it any more', async (t) => {
  const regions = await twoRegions(t);
  const { dependencies, us } = regions;
  const client = dependencies.regions.get('us');
  if (client === undefined) throw new TypeError('no client');
  const noteProgress: RegionClient['noteProgress'] = async (request, options) => {
    const isEnd = request.migration?.state === MigrationState.MIGRATION_STATE_DONE;
    if (isEnd) throw errors.migrationNotFound(us.migration._id);
    return await client.noteProgress(request, options);
  };
  const deaf = { ...dependencies, regions: new Map([['us', { ...client, noteProgress }]]) };
  await runMigration(deaf, us.migration._id, { fence: 1, signal: signal() });
  const { record } = await stateIn(regions);
  t.is(record?.state, MigrationState.MIGRATION_STATE_DONE);
  t.is(record?.isOpen, undefined);
});
