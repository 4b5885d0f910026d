import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { status } from '@grpc/grpc-js';
import { Plan } from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { Account } from '@silo/protos/gen/silo/org/v1/account_service.ts';
import { Member } from '@silo/protos/gen/silo/org/v1/organization.ts';
import { createKey, join } from '../authorization/world.ts';
import type { SignedUp } from '../harness/clients.ts';
import { eventually } from '../harness/eventually.ts';
import { outcomes, refused } from '../harness/refusals.ts';
import type { TestSilo } from '../harness/silo.ts';
import { moveBatch, mover, ownerOf, undoMove } from './move-support.ts';
import {
  choosePlan,
  createOrganization,
  createProject,
  firstPage,
  moveProject,
  present,
  projectNames,
  scenarios,
} from './support.ts';

const test = scenarios();
const { LEVEL_ADMIN, LEVEL_MEMBER } = Level;

/**
 * Ada moves a project from her organization to Bob's, of which she is a MEMBER; Bob is a member of
 * hers.
 */
async function between(silo: TestSilo) {
  const ada = await mover(silo, { name: 'Ada' });
  const bob = await silo.signUp('Bob');
  await choosePlan(bob.api, bob.organization.id, Plan.PLAN_SCALE);
  await join(bob, ada, LEVEL_MEMBER);
  await join(ada, bob, LEVEL_MEMBER);
  const theirs = bob.organization.id;
  const move = present((await moveProject(ada.api, ada.movingId, theirs)).move);
  return { ada, bob, moveId: move.id, projectId: ada.movingId, theirs };
}

function remove(owner: SignedUp, organizationId: string, accountId: string) {
  const which = { organizationId, accountId };
  return owner.api.organizations.removeMember({ ...which, etag: '', requestId: '' });
}

function setLevel(owner: SignedUp, accountId: string, level: Level) {
  const member = Member.fromPartial({ organizationId: owner.organization.id, accountId, level });
  return owner.api.organizations.updateMember({ member, updateMask: undefined, requestId: '' });
}

const finalize = ({ api }: SignedUp, moveId: string) =>
  api.projects.finalizeMove({ moveId, requestId: '' });

test('an undo is a new move back that names the move that it undid, and cannot be undone itself', async (t) => {
  const { ada, moveId, projectId, theirs } = await between(t.context.silo);
  const back = await undoMove(ada.api, moveId);
  t.like(back, {
    projectId,
    projectIds: [projectId],
    sourceOrganizationId: theirs,
    destinationOrganizationId: ada.sourceId,
    undoOf: moveId,
    undoExpireTime: undefined,
  });
  t.is(await ownerOf(ada.api, projectId), ada.sourceId);
  const undone = (await ada.api.projects.getMove({ moveId })).move;
  t.is(undone?.undoneBy, back.id);
  const twice = await refused(t, undoMove(ada.api, moveId), 'MOVE_UNDONE');
  t.is(twice.code, status.FAILED_PRECONDITION);
  t.deepEqual(twice.metadata, { undone_by: back.id });
  const again = await refused(t, undoMove(ada.api, back.id), 'MOVE_IS_UNDO');
  t.deepEqual(again.metadata, { undo_of: moveId });
  const final = ada.api.projects.finalizeMove({ moveId: back.id, requestId: '' });
  await refused(t, final, 'MOVE_IS_UNDO');
});

test('undo is allowed for the account that made the move, while ADMIN of the origin and member of the destination', async (t) => {
  const { silo } = t.context;
  const one = await between(silo);
  await undoMove(one.ada.api, one.moveId);
  const two = await between(silo);
  await remove(two.bob, two.theirs, two.ada.account.id);
  await refused(t, undoMove(two.ada.api, two.moveId), 'ORGANIZATION_NOT_FOUND');
  const three = await between(silo);
  await setLevel(three.ada, three.bob.account.id, Level.LEVEL_OWNER);
  await setLevel(
    { ...three.bob, organization: three.ada.organization },
    three.ada.account.id,
    LEVEL_MEMBER,
  );
  await refused(t, undoMove(three.ada.api, three.moveId), 'ADMIN_REQUIRED');
});

test('undo is allowed for admins of the destination that are members of the origin, and for nobody else', async (t) => {
  const { silo } = t.context;
  const { ada, bob, moveId, theirs } = await between(silo);
  const [adminOfSource, adminThere, member, eve] = [
    await silo.signUp('AdminOfSource'),
    await silo.signUp('AdminThere'),
    await silo.signUp('Member'),
    await silo.signUp('Eve'),
  ];
  await join(ada, adminOfSource, LEVEL_ADMIN);
  await join(bob, adminOfSource, LEVEL_MEMBER);
  await join(bob, adminThere, LEVEL_ADMIN);
  await join(bob, member, LEVEL_MEMBER);
  await refused(t, undoMove(adminOfSource.api, moveId), 'ADMIN_REQUIRED');
  const { details } = await refused(t, undoMove(adminThere.api, moveId), 'ORGANIZATION_NOT_FOUND');
  t.is(details.resourceInfo?.resourceName, ada.sourceId);
  await refused(t, undoMove(member.api, moveId), 'ADMIN_REQUIRED');
  await refused(t, undoMove(eve.api, moveId), 'MOVE_NOT_FOUND');
  const back = await undoMove(bob.api, moveId);
  t.is(back.actorAccountId, bob.account.id);
  t.is(back.sourceOrganizationId, theirs);
});

test('if members may not create projects in the origin, an undo requires an admin of it', async (t) => {
  const { ada, bob, moveId } = await between(t.context.silo);
  await ada.api.organizations.updateOrganization({
    organization: {
      ...ada.organization,
      membersMayCreateProjects: false,
      etag: '',
    },
    updateMask: ['members_may_create_projects'],
    requestId: '',
  });
  await refused(t, undoMove(bob.api, moveId), 'ADMIN_REQUIRED');
  await undoMove(ada.api, moveId);
});

test('an undo requires a free slot in the origin, and may take the destination’s last project', async (t) => {
  const { silo } = t.context;
  const ada = await silo.signUp('Ada');
  await choosePlan(ada.api, ada.organization.id, Plan.PLAN_PAY_AS_YOU_GO);
  const { id } = await createProject(ada.api, ada.organization.id);
  const there = await createOrganization(ada.api, 'There');
  await choosePlan(ada.api, there.organizationId);
  const { move } = await moveProject(ada.api, id, there.organizationId);
  await ada.api.projects.deleteProject({ projectId: there.projectId, etag: '', requestId: '' });
  for (let made = 1; made < 6; made++) await createProject(ada.api, ada.organization.id);
  const error = await refused(t, undoMove(ada.api, present(move).id), 'PROJECT_LIMIT');
  t.is(error.code, status.RESOURCE_EXHAUSTED);
  t.is(error.metadata.organization_id, ada.organization.id);
  await ada.api.projects.deleteProject({ projectId: ada.projectId, etag: '', requestId: '' });
  await undoMove(ada.api, present(move).id);
  t.deepEqual(await projectNames(ada.api, there.organizationId), []);
});

test('only the latest move of a project can be undone, and the undo of a later move does not make an earlier one the latest', async (t) => {
  const ada = await mover(t.context.silo, { projects: 2 });
  const { sourceId, destinationId, projectIds, movingId } = ada;
  const batch = await moveBatch(ada.api, { from: sourceId, to: destinationId, projectIds });
  const later = present((await moveProject(ada.api, movingId, sourceId)).move);
  const error = await refused(t, undoMove(ada.api, batch.id), 'MOVE_SUPERSEDED');
  t.deepEqual(error.metadata, { project_id: movingId });
  await undoMove(ada.api, later.id);
  await refused(t, undoMove(ada.api, batch.id), 'MOVE_SUPERSEDED');
});

test('a batch is undone as a whole, and not while one of its projects is deleted', async (t) => {
  const ada = await mover(t.context.silo, { projects: 3 });
  const { sourceId: from, destinationId: to, projectIds } = ada;
  const { id } = await moveBatch(ada.api, { from, to, projectIds });
  const [, gone = ''] = projectIds;
  await ada.api.projects.deleteProject({ projectId: gone, etag: '', requestId: '' });
  const { details } = await refused(t, undoMove(ada.api, id), 'PROJECT_NOT_ACTIVE');
  t.is(details.preconditionFailure?.[0]?.subject, gone);
  t.is((await projectNames(ada.api, to)).length, 3, 'the others stay');
  await ada.api.projects.undeleteProject({ projectId: gone, requestId: '' });
  const back = await undoMove(ada.api, id);
  t.deepEqual(back.projectIds, projectIds);
  t.is((await projectNames(ada.api, from)).length, 4);
});

test('an admin of the destination ends the time to undo; nobody else can, and only once', async (t) => {
  const { ada, bob, moveId } = await between(t.context.silo);
  await refused(t, finalize(ada, moveId), 'ADMIN_REQUIRED');
  const { move } = await finalize(bob, moveId);
  t.is(move?.finalizerAccountId, bob.account.id);
  t.truthy(move?.finalizeTime);
  t.deepEqual((await ada.api.projects.getMove({ moveId })).move, move);
  await refused(t, finalize(bob, moveId), 'MOVE_FINALIZED');
  await refused(t, undoMove(ada.api, moveId), 'MOVE_FINALIZED');
  await refused(t, undoMove(bob.api, moveId), 'MOVE_FINALIZED');
});

test('everything that prevents an undo is reported together', async (t) => {
  const ada = await mover(t.context.silo, { projects: 2 });
  const { sourceId: from, destinationId: to, projectIds, movingId } = ada;
  const { id } = await moveBatch(ada.api, { from, to, projectIds });
  await ada.api.projects.finalizeMove({ moveId: id, requestId: '' });
  await moveProject(ada.api, movingId, from);
  const [, gone = ''] = projectIds;
  await ada.api.projects.deleteProject({ projectId: gone, etag: '', requestId: '' });
  const { details } = await refused(t, undoMove(ada.api, id), 'MOVE_FINALIZED');
  t.deepEqual(
    details.preconditionFailure?.map(({ type }) => type),
    ['MOVE_FINALIZED', 'MOVE_SUPERSEDED', 'PROJECT_NOT_ACTIVE'],
  );
});

test('an undo repeated by its request id gets the same response, unless the destination has removed the member since', async (t) => {
  const { silo } = t.context;
  const { ada, bob, moveId } = await between(silo);
  const requestId = randomUUID();
  const first = await undoMove(ada.api, moveId, requestId);
  t.deepEqual(await undoMove(ada.api, moveId, requestId), first);
  await remove(bob, bob.organization.id, ada.account.id);
  const repeat = undoMove(ada.api, moveId, requestId);
  await refused(t, repeat, 'MOVE_NOT_FOUND');
});

test('an undeleted project is as it was, with its token and the access of all accounts', async (t) => {
  const { silo } = t.context;
  const ada = await mover(silo);
  const bob = await silo.signUp('Bob');
  await join(ada, bob, LEVEL_MEMBER);
  const projectId = ada.movingId;
  const { secret } = await createKey(bob.api, { scopes: ['*'], projectIds: [projectId] });
  const before = present((await ada.api.projects.getProject({ projectId })).project);
  const { projectToken } = await ada.api.projectTokens.getProjectToken({ projectId });
  const token = present(projectToken).token;
  const verify = () => silo.internal().token.access.verifyToken({ token });
  await ada.api.projects.deleteProject({ projectId, etag: '', requestId: '' });
  t.is((await verify()).answer?.$case, 'refusal');
  await refused(
    t,
    bob.api.projects.undeleteProject({ projectId, requestId: '' }),
    'ADMIN_REQUIRED',
  );
  const { project } = await ada.api.projects.undeleteProject({ projectId, requestId: '' });
  const { etag, updateTime, ...same } = before;
  t.like(project, { ...same, purgeTime: undefined });
  t.not(project?.etag, etag);
  t.deepEqual((await silo.as(secret).projects.getProject({ projectId })).project, project);
  // Guards that remember the deletion learn of the undeletion by its event (docs/consistency.md).
  await eventually(async () => assert.equal((await verify()).answer?.$case, 'facts'));
  const again = ada.api.projects.undeleteProject({ projectId, requestId: '' });
  const { metadata } = await refused(t, again, 'PROJECT_NOT_DELETED');
  t.deepEqual(metadata, { state: 'ACTIVE' });
});

test('undeleting takes a slot: without a free one PROJECT_LIMIT, and racing creates get no more than there are', async (t) => {
  const { api, organization, projectId } = await t.context.silo.signUp();
  const undelete = () => api.projects.undeleteProject({ projectId, requestId: '' });
  for (let round = 0; round < 4; round++) {
    await api.projects.deleteProject({ projectId, etag: '', requestId: '' });
    const ends = await outcomes([undelete(), createProject(api, organization.id)]);
    t.deepEqual(ends.toSorted(), ['OK', 'PROJECT_LIMIT']);
    const { projects } = await api.projects.listProjects({
      ...{ organizationId: organization.id, showDeleted: false, ...firstPage },
    });
    t.is(projects.length, 1);
    if (ends[0] === 'OK') continue;
    await refused(t, undelete(), 'PROJECT_LIMIT');
    const id = present(projects[0]).id;
    await api.projects.deleteProject({ projectId: id, etag: '', requestId: '' });
    await undelete();
  }
});

test('after an undo, current projects and key restrictions are what they were before the move', async (t) => {
  const { silo } = t.context;
  const ada = await mover(silo);
  const stays = await silo.signUp('Stays');
  await join(ada, stays, LEVEL_MEMBER);
  const currentProjectId = ada.movingId;
  await stays.api.accounts.updateAccount({
    account: Account.fromPartial({ currentProjectId }),
    updateMask: ['current_project_id'],
    requestId: '',
  });
  const { secret } = await createKey(stays.api, { scopes: ['*'], projectIds: [currentProjectId] });
  const search = async () => {
    const { results } = await stays.api.projects.searchProjects({ query: 'Moving', ...firstPage });
    return results.map(({ project, current }) => [project?.id, current]);
  };
  const seen = await search();
  t.deepEqual(seen, [[currentProjectId, true]]);
  const { move } = await moveProject(ada.api, currentProjectId, ada.destinationId);
  t.deepEqual(await search(), []);
  await undoMove(ada.api, present(move).id);
  t.deepEqual(await search(), seen);
  t.is(await ownerOf(silo.as(secret), currentProjectId), ada.sourceId);
});

test('both organizations’ activity shows move, batch, undo and finalize under the move’s id', async (t) => {
  const { silo } = t.context;
  const ada = await mover(silo, { projects: 2, name: 'Ada' });
  const bob = await silo.signUp('Bob');
  await choosePlan(bob.api, bob.organization.id, Plan.PLAN_SCALE);
  await join(bob, ada, LEVEL_ADMIN);
  const { sourceId: from, projectIds } = ada;
  const to = bob.organization.id;
  const batch = await moveBatch(ada.api, { from, to, projectIds });
  const back = await undoMove(ada.api, batch.id);
  const final = present((await moveProject(ada.api, ada.movingId, to)).move);
  await finalize(bob, final.id);
  const log = async ({ api }: SignedUp, organizationId: string) => {
    const { entries } = await api.activity.listActivity({
      ...{ organizationId, projectId: '', ...firstPage },
    });
    return entries
      .filter(({ moveId }) => moveId !== '')
      .map(({ type, moveId, undoOf, actor, changes }) => ({
        ...{ type, moveId, undoOf, actor, changes: changes.map((each) => [each.from, each.to]) },
      }));
  };
  const moved = (moveId: string, undoOf: string, ends: string[]) => ({
    ...{ type: 'project.moved', moveId, undoOf, actor: ada.account.id, changes: [ends] },
  });
  const expected = [
    {
      ...{ type: 'project.move_finalized', moveId: final.id, undoOf: '' },
      ...{ actor: bob.account.id, changes: [] },
    },
    moved(final.id, '', [from, to]),
    ...projectIds.map(() => moved(back.id, batch.id, [to, from])),
    ...projectIds.map(() => moved(batch.id, '', [from, to])),
  ];
  t.deepEqual(await log(ada, from), expected);
  t.deepEqual(await log(bob, to), expected);
});

test('deleting and bringing back are in the activity of the organization, and of no other', async (t) => {
  const ada = await mover(t.context.silo);
  const projectId = ada.movingId;
  await ada.api.projects.deleteProject({ projectId, etag: '', requestId: '' });
  await ada.api.projects.undeleteProject({ projectId, requestId: '' });
  const types = async (organizationId: string) => {
    const { entries } = await ada.api.activity.listActivity({
      ...{ organizationId, projectId: '', ...firstPage },
    });
    return entries.filter((entry) => entry.projectId === projectId).map(({ type }) => type);
  };
  t.deepEqual(await types(ada.sourceId), [
    'project.undeleted',
    'project.deleted',
    'project.created',
  ]);
  t.deepEqual(await types(ada.destinationId), []);
});
