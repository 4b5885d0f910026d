import { reasonName } from '@silo/errors/reason-name.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { TryResult } from '@silo/protos/gen/silo/project/internal/v1/slot_service.ts';
import { bind } from '@silo/rpc/test/bind.ts';
import { newId } from '@silo/tokens/ids.ts';
import test from 'ava';
import { deleteProject } from '../handlers/delete-project.ts';
import { tryCloseSlots, trySetLimit } from '../handlers/internal/slots.ts';
import { hasMigrations } from '../rules/slots.ts';
import { refusalOf, type TestKey, testWorld, type World } from './support.ts';

const { TRY_RESULT_ACCEPTED, TRY_RESULT_REFUSED_ACCESS } = TryResult;
const { TRY_RESULT_REFUSED_COUNT, TRY_RESULT_REFUSED_LATE } = TryResult;

function behalfOf({ keyHash, fact }: TestKey) {
  return { accountId: fact.accountId, keyHash, correlationId: 'saga' };
}

type Wanted = { organizationId: string; limit?: number; migrations?: boolean; revision: number };

async function setLimit(world: World, key: TestKey, wanted: Wanted) {
  const call = await world.call(world.key());
  const request = { limit: undefined, ...wanted, onBehalfOf: behalfOf(key) };
  return (await bind(trySetLimit, world)(request, call)).outcome;
}

async function close(
  world: World,
  key: TestKey,
  wanted: Wanted & { endDeletedProjects?: boolean },
) {
  const call = await world.call(world.key());
  const request = { endDeletedProjects: false, ...wanted, onBehalfOf: behalfOf(key) };
  return (await bind(tryCloseSlots, world)(request, call)).outcome;
}

test('a limit is set once per revision, with an event', async (t) => {
  const world = await testWorld(t);
  const owner = world.key();
  const { id: organizationId } = await world.organization(owner, { limit: 1 });
  const accepted = { result: TRY_RESULT_ACCEPTED, count: 1, deletedCount: 0 };
  t.deepEqual(await setLimit(world, owner, { organizationId, limit: 6, revision: 2 }), accepted);
  t.deepEqual(await setLimit(world, owner, { organizationId, limit: 6, revision: 2 }), accepted);
  t.deepEqual(await setLimit(world, owner, { organizationId, limit: 9, revision: 1 }), {
    result: TRY_RESULT_REFUSED_LATE,
    count: 1,
    deletedCount: 0,
  });
  t.deepEqual(await setLimit(world, owner, { organizationId, revision: 3 }), accepted);
  const [opened, raised, unlimited, ...more] = await world.events('slots_changed');
  t.like(opened, { limit: 1 });
  t.like(raised, { oldLimit: 1, limit: 6, count: 1, actor: owner.fact.accountId });
  t.like(unlimited, { oldLimit: 6 });
  t.is(unlimited?.limit, undefined);
  t.deepEqual(more, []);
});

test('a change of plan sets the limit, and whether migrations are allowed', async (t) => {
  const world = await testWorld(t);
  const owner = world.key();
  const { id: organizationId } = await world.organization(owner, { limit: 1 });
  const mayMigrate = async () => {
    const { value } = await world.eventLog.decide(await world.call(owner), (tx) =>
      world.slots.read(tx, organizationId),
    );
    return value && hasMigrations(value);
  };
  t.false(await mayMigrate());
  await setLimit(world, owner, { organizationId, migrations: true, revision: 1 });
  t.true(await mayMigrate());
  await setLimit(world, owner, { organizationId, limit: 6, migrations: false, revision: 2 });
  t.false(await mayMigrate());
  // From a service of the previous release, which does not send the field.
  await setLimit(world, owner, { organizationId, revision: 3 });
  t.true(await mayMigrate());
});

test('a conditional change is refused to a caller that has lost the level, and the refusal is stored', async (t) => {
  const world = await testWorld(t);
  const [owner, admin] = [world.key(), world.key()];
  const { id: organizationId } = await world.organization(owner, { limit: 1 });
  const refused = { result: TRY_RESULT_REFUSED_ACCESS, count: 1, deletedCount: 0 };
  const wanted = { organizationId, limit: 6, revision: 1 };
  t.deepEqual(await setLimit(world, admin, wanted), refused);
  world.join(admin, organizationId, Level.LEVEL_ADMIN);
  t.deepEqual(await setLimit(world, admin, wanted), refused);
  const again = await setLimit(world, admin, { ...wanted, revision: 2 });
  t.is(again?.result, TRY_RESULT_ACCEPTED);
  const closed = await close(world, admin, { organizationId, revision: 1 });
  t.is(closed?.result, TRY_RESULT_REFUSED_ACCESS);
  const reader = world.key({ accountId: owner.fact.accountId, scopes: ['billing:read'] });
  const byReader = await setLimit(world, reader, { ...wanted, revision: 3 });
  t.is(byReader?.result, TRY_RESULT_REFUSED_ACCESS);
});

test('a conditional change on behalf of another account than the key’s is refused', async (t) => {
  const world = await testWorld(t);
  const owner = world.key();
  const { id: organizationId } = await world.organization(owner);
  const other = { ...owner, fact: { ...owner.fact, accountId: newId('acc') } };
  const outcome = await setLimit(world, other, { organizationId, limit: 6, revision: 1 });
  t.is(outcome?.result, TRY_RESULT_REFUSED_ACCESS);
});

test('slots close only without projects, permanently; restorable projects are given up only on request', async (t) => {
  const world = await testWorld(t);
  const owner = world.key();
  const { id: organizationId, projectId } = await world.organization(owner);
  const first = await close(world, owner, { organizationId, revision: 1 });
  t.deepEqual(first, { result: TRY_RESULT_REFUSED_COUNT, count: 1, deletedCount: 0 });
  const call = await world.call(owner, { projectId });
  await bind(deleteProject, world)({ projectId, etag: '', requestId: '' }, call);
  const second = await close(world, owner, { organizationId, revision: 2 });
  t.deepEqual(second, { result: TRY_RESULT_REFUSED_COUNT, count: 0, deletedCount: 1 });
  const wanted = { organizationId, revision: 3, endDeletedProjects: true };
  const third = await close(world, owner, wanted);
  t.deepEqual(third, { result: TRY_RESULT_ACCEPTED, count: 0, deletedCount: 0 });
  t.deepEqual(await close(world, owner, { ...wanted, endDeletedProjects: false }), third);
  const taken = (more: number) =>
    world.eventLog.decide(call, (tx) => world.slots.take(tx, organizationId, more));
  t.false((await taken(1)).value);
  t.like((await world.events('slots_changed')).at(-1), { closed: true, organizationId });
});

test('a conditional change is refused if no slots are open', async (t) => {
  const world = await testWorld(t);
  const wanted = { organizationId: newId('org_us'), revision: 1 };
  const error = await refusalOf(setLimit(world, world.key(), wanted));
  t.is(reasonName(error.reason), 'NOT_READY');
});
