import { errors } from '@silo/errors/errors.ts';
import { Migration, MigrationState } from '@silo/protos/gen/silo/project/v1/migration.ts';
import type { Call } from '@silo/rpc/call.ts';
import { checkAccess } from '@silo/rpc/check-access.ts';
import type { RegionClient } from '@silo/service/regions.ts';
import { newId } from '@silo/tokens/ids.ts';
import test, { type ExecutionContext } from 'ava';
import { countPermits } from '../../../test/harness/counted-permits.ts';
import { acceptMigration } from '../handlers/accept-migration.ts';
import { requestMigration } from '../handlers/request-migration.ts';
import { newMigration } from '../rules/new-migration.ts';
import { createEventEstimate } from '../store/event-estimate.ts';
import { createMigratingProjectStore } from '../store/migrating-projects.ts';
import { migrationCollection } from '../store/migrations.ts';
import { projectFence } from '../store/project-fence.ts';
import { refusalOf, type TestKey, testWorld } from './support.ts';

const { MIGRATION_STATE_REQUESTED: requested, MIGRATION_STATE_CANCELLED: cancelled } =
  MigrationState;

/** An admin of `us` on a plan with migrations, and the other region, which waits in `onAsked`. */
async function regions(t: ExecutionContext, onAsked: () => void) {
  const world = await testWorld(t);
  const key = world.key();
  const { id: organizationId, projectId } = await world.organization(key);
  await world.db
    .collection<{ _id: string }>('slots')
    .updateOne({ _id: organizationId }, { $set: { migrations: true, limit: null } });
  const permits = { taken: 0, held: 0 };
  const access = countPermits(world.access, permits);
  const offer = Migration.fromPartial({
    ...{ id: newId('mig_eu'), state: MigrationState.MIGRATION_STATE_REQUESTED },
    ...{ projectId: newId('prj'), projectName: 'Coming' },
    ...{ sourceRegion: 'eu', destinationRegion: 'us' },
    ...{ sourceOrganizationId: newId('org_eu'), destinationOrganizationId: organizationId },
  });
  const noted: (Migration | undefined)[] = [];
  const client: Partial<RegionClient> = {
    peekDestination: async () => {
      onAsked();
      return { name: 'There', slots: undefined, migrations: true };
    },
    getOffer: async () => {
      onAsked();
      return { migration: offer };
    },
    noteProgress: async ({ migration }) => {
      noted.push(migration);
      return { migration };
    },
  };
  const { db } = world;
  const dependencies = {
    ...{ ...world, access, regions: new Map([['eu', client as RegionClient]]) },
    migratingProjects: createMigratingProjectStore(db),
    ...{ events: world.captured, fenceHere: projectFence(db) },
    estimateEvents: createEventEstimate(db),
  };
  return { world, dependencies, key, organizationId, projectId, offer, permits, noted };
}

type Regions = Awaited<ReturnType<typeof regions>>;

/** An admitted call, with a permit. */
async function admitted(
  { world, dependencies }: Regions,
  key: TestKey,
  target: object,
): Promise<Call> {
  const call = await world.call(key, target);
  const answer = await checkAccess(dependencies.access, call, { keyHash: key.keyHash, ...target });
  if (!answer.allowed) throw new TypeError('it is not admitted');
  return call;
}

const handlers = {
  RequestMigration: async (regions: Regions) => {
    const { dependencies, key, projectId } = regions;
    const call = await admitted(regions, key, { projectId });
    const to = { destinationRegion: 'eu', destinationOrganizationId: newId('org_eu') };
    const request = { projectId, ...to, planFingerprint: '', requestId: '' };
    return await requestMigration(request, call, dependencies);
  },
  AcceptMigration: async (regions: Regions) => {
    const { dependencies, key, organizationId, offer } = regions;
    const call = await admitted(regions, key, { organizationId });
    const request = { migrationId: offer.id, organizationId, requestId: '' };
    return await acceptMigration(request, call, dependencies);
  },
};

for (const [name, handle] of Object.entries(handlers)) {
  test(`${name} holds no permit while it calls the other region, and one when it decides`, async (t) => {
    let heldThen = -1;
    const world: Regions = await regions(t, () => {
      heldThen = world.permits.held;
    });
    await handle(world);
    t.is(heldThen, 0);
    t.deepEqual(world.permits, { taken: 2, held: 0 });
  });

  test(`${name} changes nothing for an account that has lost its access meanwhile`, async (t) => {
    const world: Regions = await regions(t, () =>
      world.world.leave(world.key, world.organizationId),
    );
    const refusal = await refusalOf(handle(world));
    t.true(['PROJECT_NOT_FOUND', 'ORGANIZATION_NOT_FOUND'].includes(refusal.reasonName));
    t.is(await world.world.migrations.hasOpen(AbortSignal.timeout(600_000)), false);
  });
}

test('RequestMigration changes nothing in an organization with the access to another one', async (t) => {
  let asked = 0;
  const world: Regions = await regions(t, () => {
    asked++;
  });
  const { access } = world.dependencies;
  // The project moves during the call to the region, and comes back before the decision.
  const permit: typeof access.permit = async (question, signal) => {
    const answer = await access.permit(question, signal);
    const project = answer.allowed ? answer.facts.project : undefined;
    if (asked !== 1 || question.bypassesCache || !answer.allowed || !project) return answer;
    const fact = { ...project.fact, organizationId: newId('org_us') };
    return { ...answer, facts: { ...answer.facts, project: { ...project, fact } } };
  };
  const dependencies = { ...world.dependencies, access: { ...access, permit } };
  await handlers.RequestMigration({ ...world, dependencies });
  t.is(asked, 2);
});

test('AcceptMigration checks access after the call to the source, whether the offer is hidden or absent', async (t) => {
  const hidden: Regions = await regions(t, () => {
    hidden.offer.destinationOrganizationId = newId('org_us');
  });
  const absent: Regions = await regions(t, () => {
    throw errors.migrationNotFound(absent.offer.id);
  });
  for (const world of [hidden, absent]) {
    const refusal = await refusalOf(handlers.AcceptMigration(world));
    t.is(refusal.reasonName, 'MIGRATION_NOT_FOUND');
    t.deepEqual(world.permits, { taken: 2, held: 1 });
  }
});

test('AcceptMigration is refused with the reason if the source has ended the offer', async (t) => {
  const world: Regions = await regions(t, () => {});
  Object.assign(world.offer, {
    state: MigrationState.MIGRATION_STATE_CANCELLED,
    failure: 'The project was deleted.',
  });
  const refusal = await refusalOf(handlers.AcceptMigration(world));
  t.is(refusal.reasonName, 'MIGRATION_STATE');
  t.regex(refusal.message, /it was cancelled: The project was deleted\.$/);
  t.like(world.noted, [{ id: world.offer.id, failure: '' }], 'the source must record it');
  t.is(await world.world.migrations.hasOpen(AbortSignal.timeout(600_000)), false);
});

test('RequestMigration ends the offer of an organization that no longer has the project', async (t) => {
  const world: Regions = await regions(t, () => {});
  const { key, organizationId, projectId } = world;
  const records = migrationCollection(world.world.db);
  const offer = newMigration({
    ...{ _id: newId('mig_us'), side: 'source', state: requested },
    ...{ projectId, projectName: 'Moved', sourceRegion: 'us', destinationRegion: 'eu' },
    ...{ sourceOrganizationId: newId('org_us'), destinationOrganizationId: newId('org_eu') },
    ...{ actor: key.fact.accountId, requesterAccountId: 'acc_1', requestTime: new Date() },
    eventsTotal: undefined,
  });
  await records.insertOne(offer);
  await handlers.RequestMigration(world);
  const failure = 'The project was moved to another organization.';
  const ended = { state: cancelled, isOpen: undefined, failure };
  t.like(await records.findOne({ _id: offer._id }), ended);
  const own = await records.findOne({ projectId, isOpen: true });
  t.like(own, { state: requested, organizationId });
  const refusal = await refusalOf(handlers.RequestMigration(world));
  t.is(refusal.reasonName, 'MIGRATION_IN_PROGRESS', 'its own offer remains');
});
