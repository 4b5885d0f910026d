import { reasonName } from '@silo/errors/reason-name.ts';
import type { Unpropagated } from '@silo/mongo/mutation.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import type { MoveProjectResponse } from '@silo/protos/gen/silo/project/v1/project_service.ts';
import { bind } from '@silo/rpc/test/bind.ts';
import test from 'ava';
import { deleteProject } from '../handlers/delete-project.ts';
import { listMoveDestinations } from '../handlers/list-move-destinations.ts';
import { moveProject } from '../handlers/move-project.ts';
import { refusalOf, type TestKey, testWorld, type World } from './support.ts';

type Wanted = {
  projectId: string;
  to: string;
  etag?: string;
  requestId?: string;
  planFingerprint?: string;
};

async function move(
  world: World,
  key: TestKey,
  { projectId, to, etag = '', requestId = '', planFingerprint = '' }: Wanted,
): Promise<Unpropagated<MoveProjectResponse>> {
  const call = await world.call(key, { projectId, level: Level.LEVEL_ADMIN, requestId });
  const ends = { projectId, destinationOrganizationId: to };
  const request = { ...ends, etag, requestId, planFingerprint };
  return await bind(moveProject, world)(request, call);
}

async function counts(world: World, ...organizationIds: string[]) {
  const found = await world.slots.getMany(organizationIds, AbortSignal.timeout(600_000));
  return organizationIds.map((id) => found.get(id)?.count);
}

async function refusedMove(world: World, key: TestKey, wanted: Wanted) {
  const error = await refusalOf(move(world, key, wanted));
  return {
    reason: reasonName(error.reason),
    all: error.details.preconditionFailure?.map(({ type }) => type),
  };
}

test('a planned move reads no access of a destination in which the caller may not create projects', async (t) => {
  const world = await testWorld(t);
  const [ada, bob] = [world.key(), world.key()];
  const [from, foreign] = [await world.organization(ada), await world.organization(bob)];
  let reads = 0;
  const readMoveAccess: World['readMoveAccess'] = (...asked) => {
    reads++;
    return world.readMoveAccess(...asked);
  };
  const wanted = { projectId: from.projectId, to: foreign.id, planFingerprint: '0' };
  const { reason } = await refusedMove({ ...world, readMoveAccess }, ada, wanted);
  t.is(reason, 'ORGANIZATION_NOT_FOUND');
  t.is(reads, 0);
});

test('reads of a planned move end with the call', async (t) => {
  const world = await testWorld(t);
  const ada = world.key();
  const [from, to] = [await world.organization(ada), await world.organization(ada)];
  const signals: AbortSignal[] = [];
  const readMoveAccess: World['readMoveAccess'] = (_, signal) => {
    signals.push(signal);
    return new Promise(() => {});
  };
  const wanted = { projectId: from.projectId, to: to.id, planFingerprint: '0', etag: 'stale' };
  const { reason } = await refusedMove({ ...world, readMoveAccess }, ada, wanted);
  t.is(reason, 'ETAG_MISMATCH');
  t.deepEqual(
    signals.map(({ aborted }) => aborted),
    [true],
  );
});

test('a move changes owner and both counts and emits its event atomically', async (t) => {
  const world = await testWorld(t);
  const owner = world.key();
  const source = await world.organization(owner);
  const destination = await world.organization(owner, { limit: 2 });
  const { _id: projectId } = await world.addProject(source.id, 'Moving');
  const answer = await move(world, owner, { projectId, to: destination.id, etag: '1' });
  t.like(answer.project, { id: projectId, organizationId: destination.id, etag: '2' });
  t.like(answer.move, {
    projectId,
    sourceOrganizationId: source.id,
    destinationOrganizationId: destination.id,
    actorAccountId: owner.fact.accountId,
  });
  t.deepEqual(await counts(world, source.id, destination.id), [1, 2]);
  t.is(await world.db.collection('moves').countDocuments({ projectIds: projectId }), 1);
  t.like(await world.events('moved'), [
    {
      ...{ projectId, oldOrganizationId: source.id, newOrganizationId: destination.id },
      ...{ moveId: answer.move?.id, name: 'Moving', revision: 2, actor: owner.fact.accountId },
    },
  ]);
});

test('a move to another region is refused before anything about the destination is revealed', async (t) => {
  const world = await testWorld(t);
  const [owner, stranger] = [world.key(), world.key()];
  const { projectId } = await world.organization(owner);
  const abroad = await world.organization(stranger, { region: 'eu' });
  const foreign = await world.organization(stranger);
  t.is((await refusedMove(world, owner, { projectId, to: abroad.id })).reason, 'CROSS_REGION');
  const hidden = await refusalOf(move(world, owner, { projectId, to: foreign.id }));
  t.is(reasonName(hidden.reason), 'ORGANIZATION_NOT_FOUND');
  t.is(hidden.details.resourceInfo?.resourceName, foreign.id);
});

test('a move needs a key that reaches both organizations, and permission to create in the destination', async (t) => {
  const world = await testWorld(t);
  const [owner, other] = [world.key(), world.key()];
  const source = await world.organization(owner);
  const destination = await world.organization(other);
  const { _id: projectId } = await world.addProject(source.id, 'Moving');
  world.join(owner, destination.id, Level.LEVEL_MEMBER);
  const { accountId } = owner.fact;
  const restricted = world.key({ accountId, projectIds: [projectId] });
  const wanted = { projectId, to: destination.id };
  t.is((await refusedMove(world, restricted, wanted)).reason, 'KEY_RESTRICTED');
  world.setMembersMayCreate(destination.id, false);
  t.is((await refusedMove(world, owner, wanted)).reason, 'ADMIN_REQUIRED');
  world.setMembersMayCreate(destination.id, true);
  await move(world, owner, wanted);
});

test('all violated state rules are reported together, and nothing changes', async (t) => {
  const world = await testWorld(t);
  const owner = world.key();
  const source = await world.organization(owner, { limit: 1 });
  const full = await world.organization(owner, { limit: 1 });
  const { projectId } = source;
  t.deepEqual(await refusedMove(world, owner, { projectId, to: full.id }), {
    reason: 'LAST_PROJECT',
    all: ['LAST_PROJECT', 'PROJECT_LIMIT'],
  });
  t.deepEqual(await refusedMove(world, owner, { projectId, to: source.id }), {
    reason: 'ALREADY_THERE',
    all: ['ALREADY_THERE'],
  });
  t.deepEqual(await counts(world, source.id, full.id), [1, 1]);
  t.deepEqual(await world.events('moved'), []);
});

test('a destination that is not ready, or is closed, gets no project', async (t) => {
  const world = await testWorld(t);
  const owner = world.key();
  const { id, projectId } = await world.organization(owner);
  await world.addProject(id, 'Other');
  const unopened = await world.organization(owner, { opened: false });
  const closed = await world.organization(owner);
  await world.db
    .collection<{ _id: string }>('slots')
    .updateOne({ _id: closed.id }, { $set: { closed: true } });
  t.is((await refusedMove(world, owner, { projectId, to: unopened.id })).reason, 'NOT_READY');
  const { reason } = await refusedMove(world, owner, { projectId, to: closed.id });
  t.is(reason, 'ORGANIZATION_NOT_FOUND');
});

test('a move checks the etag', async (t) => {
  const world = await testWorld(t);
  const owner = world.key();
  const { projectId } = await world.organization(owner);
  const destination = await world.organization(owner);
  const wanted = { projectId, to: destination.id, etag: '9' };
  t.is((await refusedMove(world, owner, wanted)).reason, 'ETAG_MISMATCH');
});

test('a project deleted between authorization and decision does not move', async (t) => {
  const world = await testWorld(t);
  const owner = world.key();
  const source = await world.organization(owner);
  const destination = await world.organization(owner);
  const { _id: projectId } = await world.addProject(source.id, 'Short-lived');
  const call = await world.call(owner, { projectId });
  await bind(deleteProject, world)({ projectId, etag: '', requestId: '' }, call);
  const ends = { projectId, destinationOrganizationId: destination.id };
  const request = { ...ends, etag: '', requestId: '', planFingerprint: '' };
  const error = await refusalOf(bind(moveProject, world)(request, call));
  t.is(reasonName(error.reason), 'PROJECT_NOT_ACTIVE');
});

test('concurrent moves never take the last project, and never exceed the limit', async (t) => {
  const world = await testWorld(t);
  const owner = world.key();
  const source = await world.organization(owner);
  const destination = await world.organization(owner, { limit: 3 });
  const unlimited = await world.organization(owner);
  const added = await Promise.all(
    ['a', 'b', 'c', 'd'].map((name) => world.addProject(source.id, name)),
  );
  const all = [source.projectId, ...added.map(({ _id }) => _id)];
  const outcomes = await Promise.allSettled(
    all.flatMap((projectId) =>
      [destination.id, unlimited.id].map((to) => move(world, owner, { projectId, to })),
    ),
  );
  t.true(outcomes.some(({ status }) => status === 'fulfilled'));
  const [left = 0, there = 0, elsewhere = 0] = await counts(
    ...([world, source.id, destination.id, unlimited.id] as const),
  );
  t.true(left >= 1 && there <= 3, `${left} left, ${there} and ${elsewhere} moved`);
  t.is(left + there + elsewhere, 7);
  for (const [id, count] of [
    [source.id, left],
    [destination.id, there],
    [unlimited.id, elsewhere],
  ] as const) {
    t.is(await world.db.collection('projects').countDocuments({ organizationId: id }), count);
  }
});

test('two concurrent moves of one project happen one after the other', async (t) => {
  const world = await testWorld(t);
  const owner = world.key();
  const source = await world.organization(owner);
  const others = [await world.organization(owner), await world.organization(owner)];
  const { _id: projectId } = await world.addProject(source.id, 'Popular');
  await Promise.all(others.map(({ id }) => move(world, owner, { projectId, to: id })));
  const [first, second] = await world.events('moved');
  t.is(first?.oldOrganizationId, source.id);
  t.is(second?.oldOrganizationId, first?.newOrganizationId);
});

test('a caller without access to the new owner gets PROJECT_NOT_FOUND after a move', async (t) => {
  const world = await testWorld(t);
  const [owner, admin] = [world.key(), world.key()];
  const source = await world.organization(owner);
  const destination = await world.organization(owner);
  const { _id: projectId } = await world.addProject(source.id, 'Leaving');
  world.join(admin, source.id, Level.LEVEL_ADMIN);
  const call = await world.call(admin, { projectId });
  await move(world, owner, { projectId, to: destination.id });
  const request = { projectId, etag: '', requestId: '' };
  const error = await refusalOf(bind(deleteProject, world)(request, call));
  t.is(reasonName(error.reason), 'PROJECT_NOT_FOUND');
});

test('one request_id moves once, even if both calls run concurrently', async (t) => {
  const world = await testWorld(t);
  const owner = world.key();
  const source = await world.organization(owner);
  const destination = await world.organization(owner);
  const { _id: projectId } = await world.addProject(source.id, 'Moving');
  const wanted = { projectId, to: destination.id, requestId: 'same' };
  const answers = await Promise.all([1, 2, 3].map(() => move(world, owner, wanted)));
  const [first, ...others] = answers.map(({ project, move: made }) => ({ project, made }));
  for (const other of others) t.deepEqual(other, first);
  t.is((await world.events('moved')).length, 1);
});

test('destinations are the caller’s other organizations of the region, with their blockers', async (t) => {
  const world = await testWorld(t);
  const [owner, other] = [world.key(), world.key()];
  const source = await world.organization(owner);
  const free = await world.organization(owner, { name: 'Free', limit: 2 });
  const full = await world.organization(other, { name: 'Full', limit: 1 });
  await world.organization(owner, { region: 'eu' });
  await world.organization(other, { name: 'Foreign' });
  world.join(owner, full.id, Level.LEVEL_MEMBER);
  world.setMembersMayCreate(full.id, false);
  const { projectId } = source;
  const list = async (pageSize: number, pageToken = '', key = owner) => {
    const call = await world.call(key, { projectId });
    return await bind(listMoveDestinations, world)({ projectId, pageSize, pageToken }, call);
  };
  const { destinations, nextPageToken } = await list(0);
  const expected = new Map([
    [free.id, ['LAST_PROJECT']],
    [full.id, ['ADMIN_REQUIRED', 'LAST_PROJECT', 'PROJECT_LIMIT']],
  ]);
  t.deepEqual(
    destinations.map((each) => [
      each.organizationId,
      each.blockers.map(({ reason }) => reasonName(reason)),
    ]),
    [...expected].sort(),
  );
  t.is(nextPageToken, '');
  const first = await list(1);
  const second = await list(1, first.nextPageToken);
  t.deepEqual([...first.destinations, ...second.destinations], destinations);
  t.is(second.nextPageToken, '');
  const restricted = world.key({ ...owner.fact, organizationIds: [source.id, free.id] });
  t.deepEqual(
    (await list(0, '', restricted)).destinations.map(({ organizationId }) => organizationId),
    [free.id],
  );
});
