import { Role } from '@silo/protos/gen/silo/common/v1/authorization.ts';
import { type Migration, MigrationState } from '@silo/protos/gen/silo/project/v1/migration.ts';
import { ProjectState } from '@silo/protos/gen/silo/project/v1/project.ts';
import { silentLogger } from '@silo/runtime/log.ts';
import { newId } from '@silo/tokens/ids.ts';
import test from 'ava';
import { abortCutover, beginCutover, commitCutover } from '../handlers/peer/cutover.ts';
import { noteProgress } from '../handlers/peer/note-progress.ts';
import { cancelOffer, getOffer, type OfferDependencies } from '../handlers/peer/offers.ts';
import { endHolds } from '../loops/end-holds.ts';
import { migrationMessage } from '../messages.ts';
import { attemptMsMax, holdMsMax } from '../rules/cutover-times.ts';
import type { ProjectDocument } from '../store/documents.ts';
import { decodeProject } from '../store/migrating-projects.ts';
import { migrationCollection } from '../store/migrations.ts';
import { fromEu, fromRegion, type Offered, offered } from './migration-support.ts';
import { refusalOf } from './support.ts';

const { PROJECT_STATE_ACTIVE: active, PROJECT_STATE_MIGRATING: migrating } = ProjectState;
const { PROJECT_STATE_MIGRATED: migrated, PROJECT_STATE_DELETED: deleted } = ProjectState;
const { MIGRATION_STATE_VERIFYING: verifying, MIGRATION_STATE_CUTOVER: cutover } = MigrationState;
const { MIGRATION_STATE_CANCELLED: cancelled, MIGRATION_STATE_DONE: done } = MigrationState;
const within = () => AbortSignal.timeout(600_000);

/** Runs the loop of the source until the condition holds. */
async function untilEnded(
  { dependencies, migrations, retired }: Offered,
  isOver: () => Promise<boolean>,
) {
  const stop = new AbortController();
  const secrets = {
    retireProjectToken: async ({ correlationId }: { correlationId: string }) => {
      retired.push(correlationId);
      return {};
    },
  };
  const running = endHolds(
    { ...dependencies, migrations, secrets, log: silentLogger() },
    stop.signal,
  );
  while (!(await isOver())) within().throwIfAborted();
  stop.abort();
  await running;
}

test('an attempt holds and fences the project, and returns its document and token; so does a repeat', async (t) => {
  const world = await offered(t);
  const first = await beginCutover(world.attempt(1), fromEu(), world.dependencies);
  t.like(first, { projectToken: 'phc_test', tokenRevision: 3 });
  t.like(decodeProject(first.project), { _id: world.migration.projectId, state: migrating });
  t.deepEqual(await beginCutover(world.attempt(1), fromEu(), world.dependencies), first);
  t.like(await world.project(), { state: migrating, revision: 2 });
  t.like(await world.record(), { state: cutover, attempt: 1, fencedAttempt: 1 });
  t.is((await world.events('held')).length, 1);
});

test('a committed attempt releases the project, frees its slot, and ends its token once', async (t) => {
  const world = await offered(t);
  const before = await world.count();
  await beginCutover(world.attempt(1), fromEu(), world.dependencies);
  const first = await commitCutover(world.attempt(1), fromEu(), world.dependencies);
  t.deepEqual(
    await commitCutover(world.attempt(1), fromEu(), world.dependencies),
    first,
    'a repeat',
  );
  const { destinationOrganizationId: organizationId, projectId, _id } = world.migration;
  const migratedTo = { region: 'eu', organizationId };
  t.like(await world.project(), { state: migrated, migratedTo });
  t.is(await world.count(), (before ?? 0) - 1);
  t.like(await world.events('migrated'), [{ projectId, newRegion: 'eu', migrationId: _id }]);
  t.is(
    (await refusalOf(abortCutover(world.attempt(1), fromEu(), world.dependencies))).reasonName,
    'MIGRATION_STATE',
  );
  await untilEnded(world, async () => (await world.record())?.isRetired === true);
  t.deepEqual(world.retired, [_id]);
  t.deepEqual(world.holds, ['committed']);
  t.true((await world.record())?.isOpen, 'until the destination has reported the end');
  const ended: Migration = { ...migrationMessage(world.migration), state: done };
  const { migration } = await noteProgress(
    { migration: ended, revision: 0 },
    fromEu(),
    world.dependencies,
  );
  t.is(migration?.state, done);
  t.is((await world.record())?.isOpen, undefined);
});

test('an attempt that is not fenced, has ended or is late is not committed', async (t) => {
  const world = await offered(t);
  const refused = async (number: number) =>
    (await refusalOf(commitCutover(world.attempt(number), fromEu(), world.dependencies)))
      .reasonName;
  t.is(await refused(1), 'MIGRATION_STATE', 'has not begun');
  await beginCutover(world.attempt(1), fromEu(), world.dependencies);
  t.is(await refused(2), 'MIGRATION_STATE', 'another attempt');
  const records = migrationCollection(world.db);
  const { _id } = world.migration;
  await records.updateOne({ _id }, { $unset: { fencedAttempt: '' } });
  t.is(await refused(1), 'MIGRATION_STATE', 'is not fenced');
  const late = { fencedAttempt: 1, holdTime: new Date(Date.now() - attemptMsMax) };
  await records.updateOne({ _id }, { $set: late });
  t.is(await refused(1), 'MIGRATION_STATE', 'is late');
  t.like(await world.project(), { state: active });
  t.like(await world.record(), { state: verifying, attempt: 1 });
  // As on another primary whose clock is behind.
  await records.updateOne({ _id }, { $set: { holdTime: new Date() } });
  t.is(await refused(1), 'MIGRATION_STATE', 'has ended');
  t.is((await world.events('released')).length, 1);
  t.deepEqual(world.holds, ['released']);
});

test('an attempt ends in time although the token service does not answer', async (t) => {
  const world = await offered(t);
  const { _id } = world.migration;
  await beginCutover(world.attempt(1), fromEu(), world.dependencies);
  const attempts = { ...world.dependencies.attempts, committed: async () => [world.migration] };
  const [asked, answered] = [Promise.withResolvers<void>(), Promise.withResolvers<never>()];
  const secrets = {
    retireProjectToken: async () => {
      asked.resolve();
      return await answered.promise;
    },
  };
  const stop = new AbortController();
  const { dependencies, migrations } = world;
  const loop = { ...dependencies, attempts, migrations, secrets, log: silentLogger() };
  const running = endHolds(loop, stop.signal);
  await asked.promise;
  const holdTime = new Date(Date.now() - holdMsMax);
  await migrationCollection(world.db).updateOne({ _id }, { $set: { holdTime } });
  const limit = within();
  while ((await world.project())?.state !== active) limit.throwIfAborted();
  stop.abort();
  answered.reject(new Error('no answer'));
  await running;
  t.like(await world.record(), { state: verifying });
});

test('an aborted attempt does not change the project; one that is aborted first never begins', async (t) => {
  const world = await offered(t);
  await beginCutover(world.attempt(1), fromEu(), world.dependencies);
  await abortCutover(world.attempt(1), fromEu(), world.dependencies);
  await abortCutover(world.attempt(1), fromEu(), world.dependencies);
  t.like(await world.project(), { state: active, revision: 3 });
  await abortCutover(world.attempt(2), fromEu(), world.dependencies);
  const begin = (number: number) =>
    beginCutover(world.attempt(number), fromEu(), world.dependencies);
  t.is((await refusalOf(begin(2))).reasonName, 'MIGRATION_STATE');
  t.is((await refusalOf(begin(1))).reasonName, 'MIGRATION_STATE');
  await begin(3);
  t.like(await world.project(), { state: migrating });
  t.is((await refusalOf(begin(4))).reasonName, 'MIGRATION_STATE', 'one at a time');
});

test('if the abort of an attempt was lost, that of the next one ends it', async (t) => {
  const world = await offered(t);
  const { dependencies } = world;
  await beginCutover(world.attempt(1), fromEu(), dependencies);
  const next = await refusalOf(beginCutover(world.attempt(2), fromEu(), dependencies));
  t.is(next.reasonName, 'MIGRATION_STATE');
  await abortCutover(world.attempt(2), fromEu(), dependencies);
  t.like(await world.project(), { state: active });
  t.like(await world.record(), { state: verifying, attempt: 2 });
  for (const number of [1, 2]) {
    const late = await refusalOf(commitCutover(world.attempt(number), fromEu(), dependencies));
    t.is(late.reasonName, 'MIGRATION_STATE');
  }
  await beginCutover(world.attempt(3), fromEu(), dependencies);
  t.like(await world.project(), { state: migrating });
});

test('the hold time of captures is the sum over all attempts', async (t) => {
  const world = await offered(t);
  const held: number[] = [];
  const metrics = { held: (_: string, seconds: number) => held.push(seconds) };
  const dependencies = { ...world.dependencies, metrics };
  await beginCutover(world.attempt(1), fromEu(), dependencies);
  const longAgo = { holdTime: new Date(Date.now() - 3_600_000) };
  await migrationCollection(world.db).updateOne({ _id: world.migration._id }, { $set: longAgo });
  await abortCutover(world.attempt(1), fromEu(), dependencies);
  const first = (await world.record())?.progress.holdMs ?? 0;
  t.true(first >= 3_600_000);
  await beginCutover(world.attempt(2), fromEu(), dependencies);
  const { holdMs } = await commitCutover(world.attempt(2), fromEu(), dependencies);
  t.true(Number(holdMs) >= first);
  t.is(held.length, 2);
  t.is(Number(holdMs), Math.round(1_000 * ((held[0] ?? 0) + (held[1] ?? 0))), 'each is measured');
});

test('GetOffer makes the same reads for a missing migration, or one of another region, as for an offer', async (t) => {
  const { dependencies, migration } = await offered(t);
  const reads: string[] = [];
  const counting: OfferDependencies = {
    ...dependencies,
    migrations: {
      ...dependencies.migrations,
      find: (...wanted) => {
        reads.push('migration');
        return dependencies.migrations.find(...wanted);
      },
    },
    migratingProjects: {
      find: (...wanted) => {
        reads.push('project');
        return dependencies.migratingProjects.find(...wanted);
      },
    },
  };
  const both = ['migration', 'project'];
  await getOffer({ migrationId: migration._id }, fromEu(), counting);
  t.deepEqual(reads.splice(0), both);
  const absent = { migrationId: newId('mig_us') };
  for (const [request, call] of [
    [absent, fromEu()],
    [{ migrationId: migration._id }, fromRegion('xx')],
  ] as const) {
    const refusal = await refusalOf(getOffer(request, call, counting));
    t.is(refusal.reasonName, 'MIGRATION_NOT_FOUND');
    t.deepEqual(reads.splice(0), both);
  }
});

test('an offer of a missing project is not found by the other region, and ends', async (t) => {
  const world = await offered(t, {});
  const { dependencies, db, migration } = world;
  const requested = { state: MigrationState.MIGRATION_STATE_REQUESTED };
  await migrationCollection(db).updateOne({ _id: migration._id }, { $set: requested });
  const look = async () =>
    (await getOffer({ migrationId: migration._id }, fromEu(), dependencies)).migration;
  t.like(await look(), { ...requested, failure: '' });
  const projects = db.collection<ProjectDocument>('projects');
  await projects.updateOne({ _id: migration.projectId }, { $set: { state: deleted } });
  const gone = { state: cancelled, failure: 'The project was deleted.' };
  const seen = await look();
  t.like(seen, gone);
  const old = { migration: seen && { ...seen, ...requested }, revision: 0 };
  await noteProgress(old, fromEu(), dependencies);
  t.like(await world.record(), { ...gone, isOpen: undefined });
  t.like(await look(), gone);
});

test('a report of the destination that arrives after a later one changes nothing', async (t) => {
  const world = await offered(t);
  const message = migrationMessage(world.migration);
  const note = async (revision: number, eventsCopied: number, values: Partial<Migration>) => {
    const progress = { bytesPerSecondMax: 0, cutoverAttempts: 0, eventsCopied };
    const migration = { ...message, ...values, progress };
    return (await noteProgress({ migration, revision }, fromEu(), world.dependencies)).migration;
  };
  const { MIGRATION_STATE_COPYING: state, MIGRATION_STATE_FAILED: failed } = MigrationState;
  await note(5, 20, { state });
  const noted = await world.record();
  t.like(noted, { state, progress: { eventsCopied: 20 } });
  t.like(await note(4, 10, { state: failed, failure: 'No room.' }), { state, failure: '' });
  t.deepEqual(await world.record(), noted);
  t.like(await note(5, 20, { state }), { state }, 'a repeat');
  t.like(await note(6, 30, { state: verifying }), {
    state: verifying,
    progress: { eventsCopied: 30 },
  });
  t.like(await note(0, 31, { state }), { state }, 'an older release has no revisions');
});

test('an attempt is not fenced if its barrier is not confirmed', async (t) => {
  const world = await offered(t);
  const propagate = async () => {
    throw new Error('no registry');
  };
  await t.throwsAsync(
    beginCutover(world.attempt(1), fromEu(), { ...world.dependencies, propagate }),
  );
  t.is((await world.record())?.fencedAttempt, undefined);
  t.is(
    (await refusalOf(commitCutover(world.attempt(1), fromEu(), world.dependencies))).reasonName,
    'MIGRATION_STATE',
  );
});

test('a cutover waits for indexes and removals, and does not begin for a missing project', async (t) => {
  const building = [{ name: 'plan', place: 1, since: 1, state: 'building' as const }];
  const world = await offered(t, { propertyIndexes: building });
  const begin = () => beginCutover(world.attempt(1), fromEu(), world.dependencies);
  t.is((await refusalOf(begin())).reasonName, 'NOT_READY');
  const projects = world.db.collection<ProjectDocument>('projects');
  const { projectId: _id, _id: migrationId } = world.migration;
  await projects.updateOne({ _id }, { $unset: { propertyIndexes: '' }, $set: { state: deleted } });
  t.is((await refusalOf(begin())).reasonName, 'PROJECT_NOT_ACTIVE');
  t.like(await world.record(), { state: verifying, attempt: 0 }, 'nothing is changed');
  const message = { migration: migrationMessage(world.migration), revision: 1 };
  const { migration } = await noteProgress(message, fromEu(), world.dependencies);
  t.like(migration, { id: migrationId, state: cancelled, failure: 'The project was deleted.' });
});

test('a migration is cancelled once, not during an attempt, and only by its destination', async (t) => {
  const world = await offered(t);
  const cancel = async (call = fromEu()) =>
    await cancelOffer({ migrationId: world.migration._id, actor: '' }, call, world.dependencies);
  const elsewhere = { kind: 'certificate', role: Role.ROLE_REGION, name: 'xx' } as const;
  const foreign = refusalOf(cancel({ ...fromEu(), caller: elsewhere }));
  t.is((await foreign).reasonName, 'MIGRATION_NOT_FOUND');
  await beginCutover(world.attempt(1), fromEu(), world.dependencies);
  t.is((await refusalOf(cancel())).reasonName, 'MIGRATION_STATE');
  await abortCutover(world.attempt(1), fromEu(), world.dependencies);
  t.is((await cancel()).migration?.state, cancelled);
  t.is((await cancel()).migration?.state, cancelled);
  const begin = beginCutover(world.attempt(2), fromEu(), world.dependencies);
  t.is((await refusalOf(begin)).reasonName, 'MIGRATION_STATE');
  t.like(await world.project(), { state: active });
});
