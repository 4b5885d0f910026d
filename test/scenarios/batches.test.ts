import { status } from '@grpc/grpc-js';
import { Plan } from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { newId } from '@silo/tokens/ids.ts';
import { createKey, join } from '../authorization/world.ts';
import { outcomes, refused } from '../harness/refusals.ts';
import { moveBatch, mover, ownerOf } from './move-support.ts';
import {
  choosePlan,
  createOrganization,
  createProject,
  firstPage,
  present,
  projectNames,
  scenarios,
} from './support.ts';

const test = scenarios();
const { LEVEL_ADMIN, LEVEL_MEMBER } = Level;

const types = (error: Awaited<ReturnType<typeof refused>>) =>
  error.details.preconditionFailure?.map(({ type }) => type);

test('a batch moves as a whole: one move, in the order of the request', async (t) => {
  const ada = await mover(t.context.silo, { projects: 4 });
  const { sourceId, destinationId } = ada;
  const projectIds = ada.projectIds.toReversed();
  const move = await moveBatch(ada.api, { from: sourceId, to: destinationId, projectIds });
  t.like(move, {
    projectId: '',
    projectIds,
    sourceOrganizationId: sourceId,
    destinationOrganizationId: destinationId,
    actorAccountId: ada.account.id,
    undoOf: '',
    undoneBy: '',
  });
  const windowMs = present(move.undoExpireTime).getTime() - present(move.moveTime).getTime();
  t.is(windowMs, 7 * 24 * 60 * 60 * 1000);
  for (const id of projectIds) t.is(await ownerOf(ada.api, id), destinationId);
  t.deepEqual(await projectNames(ada.api, sourceId), ['Default Project']);
  t.deepEqual((await ada.api.projects.getMove({ moveId: move.id })).move, move);
});

test('accounts left behind have no access to the projects of a batch when it returns', async (t) => {
  const { silo } = t.context;
  const ada = await mover(silo, { projects: 3 });
  const stays = await silo.signUp('Stays');
  await join(ada, stays, LEVEL_ADMIN);
  for (const projectId of ada.projectIds) await ownerOf(stays.api, projectId);
  const { sourceId: from, destinationId: to, projectIds } = ada;
  await moveBatch(ada.api, { from, to, projectIds });
  for (const projectId of projectIds) {
    await refused(t, stays.api.projects.getProject({ projectId }), 'PROJECT_NOT_FOUND');
  }
});

test('the rules apply to a batch as a whole: the source keeps a project, the destination has room for all', async (t) => {
  const { silo } = t.context;
  const ada = await mover(silo, { projects: 3 });
  const { organizationId: small } = await createOrganization(ada.api, 'Six at most');
  await choosePlan(ada.api, small);
  for (let made = 1; made < 4; made++) await createProject(ada.api, small);
  const all = [ada.projectId, ...ada.projectIds];
  const emptying = moveBatch(ada.api, { from: ada.sourceId, to: small, projectIds: all });
  const error = await refused(t, emptying, 'LAST_PROJECT');
  t.is(error.code, status.FAILED_PRECONDITION);
  t.deepEqual(types(error), ['LAST_PROJECT', 'PROJECT_LIMIT']);
  const { projectIds } = ada;
  const tooMany = await refused(
    t,
    moveBatch(ada.api, { from: ada.sourceId, to: small, projectIds }),
    'PROJECT_LIMIT',
  );
  t.is(tooMany.code, status.RESOURCE_EXHAUSTED);
  t.deepEqual(tooMany.metadata, { limit: '6', count: '4', organization_id: small });
  t.is((await projectNames(ada.api, ada.sourceId)).length, 4, 'none of them has moved');
  await moveBatch(ada.api, { from: ada.sourceId, to: small, projectIds: projectIds.slice(1) });
});

test('one project that cannot move prevents the whole batch, and is named', async (t) => {
  const ada = await mover(t.context.silo, { projects: 3 });
  const { sourceId: from, destinationId: to, projectIds } = ada;
  const [, gone = ''] = projectIds;
  await ada.api.projects.deleteProject({ projectId: gone, etag: '', requestId: '' });
  const { details } = await refused(
    t,
    moveBatch(ada.api, { from, to, projectIds }),
    'PROJECT_NOT_ACTIVE',
  );
  t.deepEqual(
    details.preconditionFailure?.map(({ subject }) => subject),
    [gone],
  );
  for (const strange of [newId('prj'), (await t.context.silo.signUp()).projectId]) {
    const batch = moveBatch(ada.api, { from, to, projectIds: [ada.movingId, strange] });
    const hidden = await refused(t, batch, 'PROJECT_NOT_FOUND');
    t.is(hidden.details.resourceInfo?.resourceName, strange);
  }
  t.is(await ownerOf(ada.api, ada.movingId), from);
});

test('a batch contains one to 500 projects, each once', async (t) => {
  const ada = await mover(t.context.silo);
  const { sourceId: from, destinationId: to, movingId } = ada;
  const strange = Array.from({ length: 501 }, () => newId('prj'));
  for (const projectIds of [[], [movingId, movingId], strange]) {
    const batch = moveBatch(ada.api, { from, to, projectIds });
    const { details } = await refused(t, batch, 'INVALID_FIELD');
    t.is(details.badRequest?.[0]?.field, 'project_ids');
  }
});

test('the caller of a batch move must be an admin of the source, with a key that covers both organizations', async (t) => {
  const { silo } = t.context;
  const ada = await mover(silo, { projects: 2 });
  const { sourceId: from, destinationId: to, projectIds } = ada;
  const [member, stranger] = [await silo.signUp('Member'), await silo.signUp('Stranger')];
  await join(ada, member, LEVEL_MEMBER);
  const own = member.organization.id;
  await refused(t, moveBatch(member.api, { from, to: own, projectIds }), 'ADMIN_REQUIRED');
  await refused(t, moveBatch(stranger.api, { from, to, projectIds }), 'ORGANIZATION_NOT_FOUND');
  const abroad = moveBatch(ada.api, { from, to: newId('org_eu'), projectIds });
  await refused(t, abroad, 'CROSS_REGION');
  const scopes = ['*'];
  const reaching = async (restriction: Parameters<typeof createKey>[1]) =>
    silo.as((await createKey(ada.api, { scopes, ...restriction })).secret);
  for (const restriction of [
    { organizationIds: [from] },
    { organizationIds: [to] },
    { projectIds },
  ]) {
    const batch = moveBatch(await reaching(restriction), { from, to, projectIds });
    await refused(t, batch, 'ORGANIZATION_NOT_FOUND');
  }
  const both = await reaching({ organizationIds: [from, to] });
  await moveBatch(both, { from, to, projectIds });
});

test('racing batches and single moves take neither the last project nor more slots than there are', async (t) => {
  const ada = await mover(t.context.silo, { projects: 5 });
  const { organizationId: small } = await createOrganization(ada.api, 'Six at most');
  await choosePlan(ada.api, small);
  const all = [ada.projectId, ...ada.projectIds];
  for (let round = 0; round < 5; round++) {
    const batch = (to: string, projectIds: string[]) =>
      moveBatch(ada.api, { from: ada.sourceId, to, projectIds });
    const ends = await outcomes([
      batch(small, all.slice(0, 3)),
      batch(ada.destinationId, all.slice(2, 5)),
      batch(small, all.slice(3)),
      ...all.map((id) => batch(ada.destinationId, [id])),
    ]);
    t.true(ends.includes('OK'), ends.join());
    const left = await projectNames(ada.api, ada.sourceId);
    t.true(left.length >= 1, 'one stays');
    t.true((await projectNames(ada.api, small)).length <= 6, 'no more than the plan allows');
    for (const from of [small, ada.destinationId]) {
      const { projects } = await ada.api.projects.listProjects({
        ...{ organizationId: from, showDeleted: false, ...firstPage },
      });
      const back = projects.map(({ id }) => id).filter((id) => all.includes(id));
      if (back.length > 0) await moveBatch(ada.api, { from, to: ada.sourceId, projectIds: back });
    }
  }
});

test('moves are listed by organization and by project, newest first, and each side sees only what it may see', async (t) => {
  const { silo } = t.context;
  const ada = await mover(silo, { projects: 3 });
  const bob = await silo.signUp('Bob');
  await choosePlan(bob.api, bob.organization.id, Plan.PLAN_SCALE);
  await join(bob, ada, LEVEL_ADMIN);
  const { sourceId: from, destinationId, projectIds, movingId } = ada;
  const first = await moveBatch(ada.api, { from, to: destinationId, projectIds });
  const onward = { from: destinationId, to: bob.organization.id, projectIds: [movingId] };
  const second = await moveBatch(ada.api, onward);
  const ids = async (
    api: typeof ada.api,
    target: { organizationId?: string; projectId?: string },
  ) => {
    const { moves } = await api.projects.listMoves({
      ...{ organizationId: '', projectId: '', ...firstPage },
      ...target,
    });
    return moves.map(({ id }) => id);
  };
  t.deepEqual(await ids(ada.api, { organizationId: from }), [first.id]);
  t.deepEqual(await ids(ada.api, { organizationId: destinationId }), [second.id, first.id]);
  t.deepEqual(await ids(bob.api, { organizationId: bob.organization.id }), [second.id]);
  // The current owner cannot see earlier owners.
  t.deepEqual(await ids(ada.api, { projectId: movingId }), [second.id]);
  t.deepEqual(await ids(ada.api, { projectId: projectIds[1] ?? '' }), [first.id]);
  t.deepEqual((await bob.api.projects.getMove({ moveId: second.id })).move?.id, second.id);
  await refused(t, bob.api.projects.getMove({ moveId: first.id }), 'MOVE_NOT_FOUND');
  const page = { organizationId: destinationId, projectId: '', pageSize: 1 };
  const one = await ada.api.projects.listMoves({ ...page, pageToken: '' });
  const two = await ada.api.projects.listMoves({ ...page, pageToken: one.nextPageToken });
  t.deepEqual([one.moves[0]?.id, two.moves[0]?.id], [second.id, first.id]);
  t.is(two.nextPageToken, '');
});

test('a key that is restricted to a project sees its moves, and nothing else of a batch', async (t) => {
  const { silo } = t.context;
  const ada = await mover(silo, { projects: 3 });
  const { sourceId: from, destinationId: to, projectIds, movingId } = ada;
  const { secret } = await createKey(ada.api, { scopes: ['*'], projectIds: [movingId] });
  const key = silo.as(secret);
  const batch = await moveBatch(ada.api, { from, to, projectIds });
  const { moves } = await key.projects.listMoves({
    ...{ organizationId: '', projectId: movingId, ...firstPage },
  });
  t.deepEqual(
    moves.map((move) => [move.id, move.projectIds]),
    [[batch.id, [movingId]]],
  );
  const { move } = await key.projects.getMove({ moveId: batch.id });
  t.deepEqual(move?.projectIds, [movingId]);
  const alone = { from: to, to: from, projectIds: projectIds.slice(1) };
  const other = await moveBatch(ada.api, alone);
  await refused(t, key.projects.getMove({ moveId: other.id }), 'MOVE_NOT_FOUND');
});
