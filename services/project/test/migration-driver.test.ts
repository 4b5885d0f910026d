import { errors } from '@silo/errors/errors.ts';
import { MigrationState } from '@silo/protos/gen/silo/project/v1/migration.ts';
import { ProjectState } from '@silo/protos/gen/silo/project/v1/project.ts';
import type { RegionClient } from '@silo/service/regions.ts';
import test from 'ava';
import { eventually } from '../../../test/harness/eventually.ts';
import { runMigration } from '../migration/run-migration.ts';
import type { WorkDependencies } from '../migration/work.ts';
import type { ProjectDocument } from '../store/documents.ts';
import { encodeProject } from '../store/migrating-projects.ts';
import { migrationCollection } from '../store/migrations.ts';
import { hasMoved, signal, stateIn, type TwoRegions, twoRegions } from './two-regions.ts';

const { PROJECT_STATE_ACTIVE: active } = ProjectState;
const { PROJECT_STATE_MIGRATING: migrating, PROJECT_STATE_MIGRATED: migrated } = ProjectState;
const { MIGRATION_STATE_COPYING: copying } = MigrationState;
const { MIGRATION_STATE_CANCELLED: cancelled, MIGRATION_STATE_FAILED: failed } = MigrationState;
const calls = ['beginCutover', 'adoptProjectToken', 'propagate', 'commitCutover'] as const;

/** The calls of a process after each of which it may die. */
type Step = 'decide' | (typeof calls)[number];

/**
 * Called with the number of times that a step was done. The process sees an error that it throws.
 */
type After = (step: Step, times: number) => void;

/** Wraps the dependencies so that `after` is called after each step. */
function observed(dependencies: WorkDependencies, after: After): WorkDependencies {
  const counts = new Map<Step, number>();
  const watch = <Args extends unknown[], Result>(
    step: Step,
    act: (...args: Args) => Promise<Result>,
  ) => {
    return async (...args: Args): Promise<Result> => {
      const result = await act(...args);
      counts.set(step, (counts.get(step) ?? 0) + 1);
      after(step, counts.get(step) ?? 0);
      return result;
    };
  };
  const { regions, secrets, propagate, eventLog } = dependencies;
  const watchedLog = Object.create(eventLog) as WorkDependencies['eventLog'];
  watchedLog.decide = watch('decide', eventLog.decide.bind(eventLog)) as typeof eventLog.decide;
  const watched = [...regions].map(([region, client]): [string, RegionClient] => [
    region,
    {
      ...client,
      beginCutover: watch('beginCutover', client.beginCutover),
      commitCutover: watch('commitCutover', client.commitCutover),
    },
  ]);
  return {
    ...{ ...dependencies, eventLog: watchedLog, regions: new Map(watched) },
    propagate: watch('propagate', propagate),
    secrets: {
      ...secrets,
      adoptProjectToken: watch('adoptProjectToken', secrets.adoptProjectToken),
    },
  };
}

/** One process, which dies after a step. Returns whether it has died. */
async function runUntil(
  { us, dependencies }: TwoRegions,
  fence: number,
  dies: After,
): Promise<boolean> {
  const life = new AbortController();
  const after: After = (step, times) => {
    life.signal.throwIfAborted();
    try {
      dies(step, times);
    } catch (error) {
      life.abort(error);
      throw error;
    }
  };
  const signal = AbortSignal.any([life.signal, AbortSignal.timeout(600_000)]);
  await runMigration(observed(dependencies, after), us.migration._id, { fence, signal }).catch(
    () => {},
  );
  return life.signal.aborted;
}

test.serial(
  'after the death of a process at any step, the next one completes the cutover once',
  async (t) => {
    const deaths: [Step, number][] = [
      // After VERIFYING and the slot follow CUTOVER, arrival and activation.
      ...[3, 4, 5].map((times): [Step, number] => ['decide', times]),
      ...calls.map((step): [Step, number] => [step, 1]),
    ];
    for (const [step, times] of deaths) {
      const regions = await twoRegions(t);
      const kill: After = (done, count) => {
        if (done === step && count === times) throw new Error('killed');
      };
      // It ends by itself, because a server does not answer in time, and another one follows.
      const hasDied = await eventually(async () => {
        if (!(await runUntil(regions, 1, kill))) throw new Error('it has not died');
        return true;
      });
      t.true(hasDied, `${step} ${times}`);
      const { source, destination } = await stateIn(regions);
      const inUse = [source, destination].filter((each) => each?.state === active);
      t.true(inUse.length <= 1, `in use once after ${step} ${times}`);
      t.false(await runUntil(regions, 2, () => {}));
      await hasMoved(t, regions);
    }
  },
);

test.serial('a call is repeated if the response of the source is lost', async (t) => {
  const regions = await twoRegions(t);
  let isLost = false;
  const lose: After = (step) => {
    if (step !== 'commitCutover' || isLost) return;
    isLost = true;
    throw errors.dependencyUnavailable('the region us');
  };
  const { dependencies, us } = regions;
  await runMigration(observed(dependencies, lose), us.migration._id, {
    fence: 1,
    signal: signal(),
  });
  t.true(isLost);
  await hasMoved(t, regions);
});

test.serial(
  'a process that was paused after the arrival of the project cannot change anything any more',
  async (t) => {
    const regions = await twoRegions(t);
    const { dependencies, us } = regions;
    const resumed = Promise.withResolvers<void>();
    const paused = Promise.withResolvers<void>();
    const client = dependencies.regions.get('us');
    if (client === undefined) throw new TypeError('no client');
    const commitCutover: RegionClient['commitCutover'] = async (request, options) => {
      paused.resolve();
      await resumed.promise;
      return await client.commitCutover(request, options);
    };
    const slow = { ...dependencies, regions: new Map([['us', { ...client, commitCutover }]]) };
    const first = runMigration(slow, us.migration._id, { fence: 1, signal: signal() });
    await paused.promise;
    t.false(await runUntil(regions, 2, () => {}));
    resumed.resolve();
    // Refused because of the other process, or done without an effect.
    await Promise.allSettled([first]);
    await hasMoved(t, regions);
  },
);

test.serial(
  'if the source ends the attempt, the arrival is reverted and attempted again',
  async (t) => {
    const regions = await twoRegions(t);
    const { dependencies, us, eu } = regions;
    const { _id: migrationId, projectId } = us.migration;
    const before = await eu.db.collection<ProjectDocument>('projects').countDocuments();
    let isEnded = false;
    const client = dependencies.regions.get('us');
    if (client === undefined) throw new TypeError('no client');
    const commitCutover: RegionClient['commitCutover'] = async (request, options) => {
      if (!isEnded) {
        isEnded = true;
        const { destination } = await stateIn(regions);
        t.is(destination?.state, migrating, 'forwarded captures wait');
        await client.abortCutover({ migrationId, attempt: 1 });
      }
      return await client.commitCutover(request, options);
    };
    const ended = { ...dependencies, regions: new Map([['us', { ...client, commitCutover }]]) };
    await runMigration(ended, migrationId, { fence: 1, signal: signal() });
    await hasMoved(t, regions);
    t.is(await eu.db.collection('projects').countDocuments(), before + 1);
    const released = await eu.events('released');
    t.like(released, [{ projectId }]);
    t.like(await us.record(), { attempt: 2 });
  },
);

test.serial(
  'the source commits only after every guard knows of the arrival; otherwise the attempt is repeated',
  async (t) => {
    const regions = await twoRegions(t);
    const { dependencies, us } = regions;
    const states: unknown[] = [];
    const propagate: WorkDependencies['propagate'] = async (ids, until) => {
      const { source, destination } = await stateIn(regions);
      if (states.push(source?.state, destination?.state) === 2)
        throw errors.propagationUnconfirmed();
      return await dependencies.propagate(ids, until);
    };
    await runMigration({ ...dependencies, propagate }, us.migration._id, {
      fence: 1,
      signal: signal(),
    });
    t.deepEqual(states, [migrating, migrating, migrating, migrating]);
    await hasMoved(t, regions);
    t.like(await us.record(), { attempt: 2 });
  },
);

test.serial('the events of the source are counted when the copy begins', async (t) => {
  const regions = await twoRegions(t);
  t.false(await runUntil(regions, 1, () => {}));
  await hasMoved(t, regions);
  const progress = { eventsTotal: 40, eventsCopied: 40, secondsLeft: 0 };
  t.like((await stateIn(regions)).record, { progress });
  t.like(await regions.us.record(), { progress });
});

test.serial('a source that cannot count its events is still copied', async (t) => {
  const regions = await twoRegions(t);
  const client = regions.dependencies.regions.get('us');
  if (client === undefined) throw new TypeError('no client');
  const describeProject: RegionClient['describeProject'] = async (request, options) => {
    if (request.countsEvents) throw errors.dependencyUnavailable('mongodb');
    return await client.describeProject(request, options);
  };
  const dependencies = {
    ...regions.dependencies,
    regions: new Map([['us', { ...client, describeProject }]]),
  };
  t.false(await runUntil({ ...regions, dependencies }, 1, () => {}));
  await hasMoved(t, regions);
  const { record } = await stateIn(regions);
  t.is(record?.progress.eventsTotal, undefined);
});

test.serial('a source that sends a different project replaces no project', async (t) => {
  const regions = await twoRegions(t);
  const { dependencies, eu } = regions;
  const projects = eu.db.collection<ProjectDocument>('projects');
  const other = await projects.findOne({});
  const client = dependencies.regions.get('us');
  if (client === undefined || other === null) throw new TypeError('no client, or no project');
  const beginCutover: RegionClient['beginCutover'] = async (request, options) => ({
    ...(await client.beginCutover(request, options)),
    project: encodeProject(other),
  });
  const hostile = { ...dependencies, regions: new Map([['us', { ...client, beginCutover }]]) };
  const hasTriedAgain = await runUntil({ ...regions, dependencies: hostile }, 1, (step, times) => {
    if (step === 'beginCutover' && times === 2) throw new Error('killed');
  });
  t.true(hasTriedAgain);
  t.deepEqual(await projects.find().toArray(), [other]);
});

test.serial(
  'damage after the first comparison is repaired before the project is in use',
  async (t) => {
    const { dependencies, us, eu } = await twoRegions(t);
    const events = eu.db.collection('captured_events');
    const openCopy: WorkDependencies['openCopy'] = async (...args) => {
      const copy = await dependencies.openCopy(...args);
      const verifyAll = copy.verifyAll.bind(copy);
      copy.verifyAll = async (until) => {
        copy.verifyAll = verifyAll;
        await verifyAll(until);
        await events.updateOne({}, { $set: { distinctId: 'eve' } });
      };
      return copy;
    };
    await runMigration({ ...dependencies, openCopy }, us.migration._id, {
      fence: 1,
      signal: signal(),
    });
    t.is(await events.countDocuments({ distinctId: 'eve' }), 0);
  },
);

test.serial('an index that was chosen last exists when the project is in use', async (t) => {
  const regions = await twoRegions(t);
  const { dependencies, us, eu } = regions;
  const client = dependencies.regions.get('us');
  if (client === undefined) throw new TypeError('no client');
  const propertyIndexes = [{ name: 'plan', place: 5, since: 1, state: 'ready' as const }];
  const beginCutover: RegionClient['beginCutover'] = async (request, options) => {
    const projects = us.db.collection<ProjectDocument>('projects');
    await projects.updateOne({ _id: us.migration.projectId }, { $set: { propertyIndexes } });
    return await client.beginCutover(request, options);
  };
  const late = { ...dependencies, regions: new Map([['us', { ...client, beginCutover }]]) };
  await runMigration(late, us.migration._id, { fence: 1, signal: signal() });
  await hasMoved(t, regions);
  t.true(await eu.db.collection('captured_events').indexExists('by_x5'));
});

test.serial('a cancelled migration leaves no events, slot or token', async (t) => {
  const regions = await twoRegions(t);
  const { dependencies, us, eu, tokens } = regions;
  const { _id: migrationId } = us.migration;
  const hasDied = await runUntil(regions, 1, (step) => {
    if (step === 'adoptProjectToken') throw new Error('killed');
  });
  t.true(hasDied && tokens.length === 1);
  const client = dependencies.regions.get('us');
  await client?.abortCutover({ migrationId, attempt: 1 });
  await client?.cancelOffer({ migrationId, actor: '' });
  t.false(await runUntil(regions, 2, () => {}));
  const { source, destination, record, events } = await stateIn(regions);
  t.is(source?.state, active);
  t.is(destination, null);
  t.is(events, 0);
  t.like(record, { state: cancelled, isOpen: undefined, hasSlot: undefined });
  t.deepEqual(tokens, []);
  const organizationId = record?.organizationId ?? '';
  t.is((await eu.slots.getMany([organizationId], signal())).get(organizationId)?.count, 1);
});

test.serial(
  'a cancelled migration of a project with an earlier stay keeps its token, and brings no new one',
  async (t) => {
    const regions = await twoRegions(t);
    const { dependencies, us, eu, tokens, ended } = regions;
    const { _id: migrationId } = us.migration;
    const before = await us.project();
    if (before === null) throw new TypeError('there is no project');
    const projects = eu.db.collection<ProjectDocument>('projects');
    await projects.insertOne({ ...before, state: migrated });
    tokens.push('of the earlier stay');
    await dependencies.regions.get('us')?.cancelOffer({ migrationId, actor: '' });
    const refuse = async () => {
      throw errors.unknownMethod('of a later release');
    };
    const older = { ...dependencies.secrets, endProjectTokenAdoption: refuse };
    t.false(
      await runUntil(
        { ...regions, dependencies: { ...dependencies, secrets: older } },
        1,
        () => {},
      ),
    );
    t.like((await stateIn(regions)).record, {
      state: cancelled,
      isOpen: true,
      putOff: { tries: 1 },
    });
    const records = migrationCollection(eu.db);
    await records.updateOne({ _id: migrationId }, { $unset: { putOff: '' } });
    t.false(await runUntil(regions, 2, () => {}));
    t.like((await stateIn(regions)).record, { state: cancelled, isOpen: undefined });
    t.deepEqual(ended, [migrationId]);
    t.deepEqual(tokens, ['of the earlier stay']);
  },
);

test.serial(
  'a migration fails if the destination has no slot, and continues when it has one',
  async (t) => {
    const regions = await twoRegions(t, { limit: 1 });
    const { us, eu } = regions;
    t.false(await runUntil(regions, 1, () => {}));
    const { record } = await stateIn(regions);
    t.is(record?.state, failed);
    t.regex(record?.failure ?? '', /at most 1 project/);
    t.like(await us.record(), { state: failed });
    const slots = eu.db.collection<{ _id: string }>('slots');
    await slots.updateOne({ _id: record?.organizationId ?? '' }, { $set: { limit: 2 } });
    const events = eu.db.collection('captured_events');
    await events.updateOne({}, { $set: { distinctId: 'eve' } });
    const again = { $set: { state: copying }, $unset: { failure: '' as const } };
    await migrationCollection(eu.db).updateOne({ _id: us.migration._id }, again);
    t.false(await runUntil(regions, 2, () => {}));
    await hasMoved(t, regions);
    const damaged = await events.countDocuments({ distinctId: 'eve' });
    t.is(damaged, 0, 'everything is compared once more after a retry');
  },
);

test.serial(
  'the project stays at the source if the plan loses migrations after the slot was reserved',
  async (t) => {
    const regions = await twoRegions(t);
    const { dependencies, eu } = regions;
    const client = dependencies.regions.get('us');
    if (client === undefined) throw new TypeError('no client');
    let begun = 0;
    const beginCutover: RegionClient['beginCutover'] = async (request, options) => {
      begun++;
      const answer = await client.beginCutover(request, options);
      const slots = eu.db.collection('slots');
      await slots.updateOne({ migrations: true }, { $set: { migrations: false } });
      return answer;
    };
    const changing = { ...dependencies, regions: new Map([['us', { ...client, beginCutover }]]) };
    t.false(await runUntil({ ...regions, dependencies: changing }, 1, () => {}));
    const { source, destination, record } = await stateIn(regions);
    t.is(source?.state, active);
    t.is(destination, null);
    t.like(record, { state: failed, hasSlot: undefined });
    t.regex(record?.failure ?? '', /plan/);
    t.is(begun, 1, 'captures wait for one attempt');
    const organizationId = record?.organizationId ?? '';
    t.is((await eu.slots.getMany([organizationId], signal())).get(organizationId)?.count, 1);
  },
);

test.serial('a rollback needs no plan with migrations', async (t) => {
  const regions = await twoRegions(t);
  const { us, eu } = regions;
  await eu.db.collection('slots').updateMany({}, { $set: { migrations: false } });
  const { _id } = us.migration;
  await migrationCollection(eu.db).updateOne({ _id }, { $set: { rollbackOf: 'mig_eu_1' } });
  t.false(await runUntil(regions, 1, () => {}));
  await hasMoved(t, regions);
});
