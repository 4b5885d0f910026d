import { reasonName } from '@silo/errors/reason-name.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { bind } from '@silo/rpc/test/bind.ts';
import { silentLogger } from '@silo/runtime/log.ts';
import { newId } from '@silo/tokens/ids.ts';
import test from 'ava';
import { createProject } from '../handlers/create-project.ts';
import { createRecommendedProjects } from '../handlers/create-recommended-projects.ts';
import { deleteProject } from '../handlers/delete-project.ts';
import { getSlots, openSlots } from '../handlers/internal/slots.ts';
import { updateProject } from '../handlers/update-project.ts';
import { purgeDue } from '../loops/purge-projects.ts';
import type { ProjectDocument } from '../store/documents.ts';
import { refusalOf, type TestKey, testWorld, type World } from './support.ts';

async function create(world: World, key: TestKey, organizationId: string, requestId = '') {
  const call = await world.call(key, { organizationId, requestId });
  const request = { organizationId, name: 'New', settings: undefined, requestId };
  return await bind(createProject, world)(request, call);
}

async function counted(world: World, organizationId: string) {
  const { signal } = await world.call(world.key());
  const slots = (await world.slots.getMany([organizationId], signal)).get(organizationId);
  const { items } = await world.projects.list(
    organizationId,
    { afterId: '', size: 99, showDeleted: false },
    signal,
  );
  return { count: slots?.count, exist: items.length };
}

test('a project is created with its token, its slot and its event', async (t) => {
  const world = await testWorld(t);
  const owner = world.key();
  const { id } = await world.organization(owner, { limit: 2 });
  const { project, projectToken } = await create(world, owner, id);
  t.like(project, { organizationId: id, name: 'New', etag: '1', state: 1 });
  t.is(projectToken, `token of ${project?.id}`);
  t.deepEqual(await counted(world, id), { count: 2, exist: 2 });
  t.deepEqual(
    (await world.events('created')).map(({ name }) => name),
    ['Default Project', 'New'],
  );
  const error = await refusalOf(create(world, owner, id));
  t.is(reasonName(error.reason), 'PROJECT_LIMIT');
  t.deepEqual(error.metadata, { limit: '2', count: '2', organization_id: id });
});

test('concurrent creations do not exceed the limit', async (t) => {
  const world = await testWorld(t);
  const owner = world.key();
  const { id } = await world.organization(owner, { limit: 4 });
  const creates = Array.from({ length: 8 }, () => create(world, owner, id));
  const outcomes = await Promise.allSettled(creates);
  t.is(outcomes.filter(({ status }) => status === 'fulfilled').length, 3);
  t.deepEqual(await counted(world, id), { count: 4, exist: 4 });
});

test('one request_id creates one project, even if both calls run concurrently', async (t) => {
  const world = await testWorld(t);
  const owner = world.key();
  const { id } = await world.organization(owner, { limit: 2 });
  const answers = await Promise.all([1, 2, 3].map(() => create(world, owner, id, 'same')));
  t.deepEqual(answers[1], answers[0]);
  t.deepEqual(answers[2], answers[0]);
  t.deepEqual(await counted(world, id), { count: 2, exist: 2 });
});

test('a member creates projects only if the organization allows it', async (t) => {
  const world = await testWorld(t);
  const [owner, member] = [world.key(), world.key()];
  const { id } = await world.organization(owner);
  world.join(member, id, Level.LEVEL_MEMBER);
  await create(world, member, id);
  world.setMembersMayCreate(id, false);
  t.is(reasonName((await refusalOf(create(world, member, id))).reason), 'ADMIN_REQUIRED');
});

test('nothing is decided before the slots are open', async (t) => {
  const world = await testWorld(t);
  const owner = world.key();
  const { id } = await world.organization(owner, { opened: false });
  t.is(reasonName((await refusalOf(create(world, owner, id))).reason), 'NOT_READY');
  const call = await world.call(owner);
  const reading = bind(getSlots, world)({ organizationId: id }, call);
  t.is(reasonName((await refusalOf(reading)).reason), 'NOT_READY');
});

test('slots and Default Project are created once, despite retries', async (t) => {
  const world = await testWorld(t);
  const call = await world.call(world.key());
  const organizationId = newId('org_us');
  const request = {
    ...{ organizationId, limit: 1, defaultProjectId: newId('prj') },
    ...{ actor: 'acc_1', correlationId: 'saga' },
  };
  await Promise.all([1, 2, 3].map(() => bind(openSlots, world)(request, call)));
  t.deepEqual(await counted(world, organizationId), { count: 1, exist: 1 });
  t.deepEqual(await bind(getSlots, world)({ organizationId }, call), { limit: 1, count: 1 });
  t.is((await world.events('created')).length, 1);
  t.like(await world.events('slots_changed'), [{ organizationId, limit: 1, count: 1 }]);
});

test('the missing recommended projects are created, all or none', async (t) => {
  const world = await testWorld(t);
  const owner = world.key();
  const { id: organizationId } = await world.organization(owner, { limit: 4 });
  const recommend = async () => {
    const call = await world.call(owner, { organizationId });
    return await bind(createRecommendedProjects, world)({ organizationId, requestId: '' }, call);
  };
  const other = await world.addProject(organizationId, 'Other');
  t.is(reasonName((await refusalOf(recommend())).reason), 'PROJECT_LIMIT');
  t.deepEqual(await counted(world, organizationId), { count: 2, exist: 2 });

  const call = await world.call(owner, { projectId: other._id });
  const project = { id: other._id, name: 'Staging', etag: '' };
  const rename = { project: { ...project, ...emptyProject }, updateMask: ['name'], requestId: '' };
  await bind(updateProject, world)(rename, call);
  const { projects } = await recommend();
  t.deepEqual(
    projects.map((each) => [each.project?.name, each.projectToken !== '']),
    [
      ['Local Development', true],
      ['Production', true],
    ],
  );
  t.deepEqual(await recommend(), { projects: [] });
});

const emptyProject = {
  ...{ organizationId: '', settings: undefined, state: 0 as const },
  ...{ createTime: undefined, updateTime: undefined, purgeTime: undefined },
  propertyIndexes: [],
};

test('an update has an event with the changed fields, and checks the etag', async (t) => {
  const world = await testWorld(t);
  const owner = world.key();
  const { projectId } = await world.organization(owner);
  const update = async (name: string, etag: string) => {
    const call = await world.call(owner, { projectId });
    const project = { ...emptyProject, id: projectId, name, etag };
    return await bind(updateProject, world)(
      { project, updateMask: undefined, requestId: '' },
      call,
    );
  };
  const { project } = await update('Renamed', '1');
  t.like(project, { name: 'Renamed', etag: '2' });
  t.is(reasonName((await refusalOf(update('Again', '1'))).reason), 'ETAG_MISMATCH');
  t.like((await update('Renamed', '2')).project, { etag: '2' });
  t.like(await world.events('updated'), [
    {
      projectId,
      revision: 2,
      changes: [{ field: 'name', from: 'Default Project', to: 'Renamed' }],
    },
  ]);
});

/** Makes a deleted project due immediately after its deletion. Returns the purge time. */
async function makeDue({ db }: World, projectId: string): Promise<number> {
  const project = await db
    .collection<ProjectDocument>('projects')
    .findOneAndUpdate({ _id: projectId }, [{ $set: { purgeTime: '$updateTime' } }]);
  return project?.updateTime.getTime() ?? 0;
}

test('deleting a project, even the last one, frees its slot immediately and purges it after 7 days', async (t) => {
  const world = await testWorld(t);
  const owner = world.key();
  const { id, projectId } = await world.organization(owner, { limit: 1 });
  const call = await world.call(owner, { projectId });
  const remove = (etag: string) =>
    bind(deleteProject, world)({ projectId, etag, requestId: '' }, call);
  t.is(reasonName((await refusalOf(remove('x'))).reason), 'ETAG_MISMATCH');
  const { project } = await remove('1');
  t.like(project, { state: 2, etag: '2' });
  t.deepEqual(await counted(world, id), { count: 0, exist: 0 });
  t.is(reasonName((await refusalOf(remove(''))).reason), 'PROJECT_NOT_ACTIVE');
  t.like(await world.events('deleted'), [{ projectId, organizationId: id, revision: 2 }]);
  await create(world, owner, id);

  const purgeMs = project?.purgeTime?.getTime() ?? 0;
  t.is(purgeMs - (project?.updateTime?.getTime() ?? 0), 7 * 24 * 60 * 60 * 1000);
  const purgeAt = (ms: number) => {
    const clock = { now: () => new Date(ms), monotonicMs: () => ms };
    return purgeDue(
      {
        ...world,
        events: world.captured,
        deletions: world.eventDeletions,
        clock,
        log: silentLogger(),
      },
      AbortSignal.timeout(600_000),
    );
  };
  await purgeAt(purgeMs);
  t.deepEqual(world.purged, [], 'a process whose clock is ahead purges nothing');
  const dueMs = await makeDue(world, projectId);
  await purgeAt(dueMs - 1);
  t.deepEqual(world.purged, [], 'a process purges nothing before the time by its own clock');
  await purgeAt(dueMs);
  await purgeAt(dueMs);
  t.deepEqual(world.purged, [projectId]);
  t.is(await world.projects.fact(projectId, call.signal), undefined);
});

test('projects that cannot be purged, or only slowly, do not delay the purge of others', async (t) => {
  const world = await testWorld(t);
  const owner = world.key();
  const { id } = await world.organization(owner, { limit: 4 });
  const created = [];
  for (let index = 0; index < 3; index++) created.push(await create(world, owner, id));
  const [broken = '', slow = '', ...others] = created.map(({ project }) => project?.id ?? '');
  let dueMs = 0;
  for (const projectId of [broken, slow, ...others]) {
    const call = await world.call(owner, { projectId });
    const request = { projectId, etag: '', requestId: '' };
    await bind(deleteProject, world)(request, call);
    dueMs = await makeDue(world, projectId);
  }
  const peer = Promise.withResolvers<void>();
  const othersPurged = Promise.withResolvers<void>();
  const purged: string[] = [];
  const secrets = {
    purgeProjectToken: async ({ projectId }: { projectId: string }) => {
      if (projectId === broken) throw new Error('broken');
      if (projectId === slow) await peer.promise;
      purged.push(projectId);
      if (others.every((each) => purged.includes(each))) othersPurged.resolve();
      return {};
    },
  };
  const clock = { now: () => new Date(dueMs), monotonicMs: () => dueMs };
  const dependencies = {
    ...world,
    events: world.captured,
    deletions: world.eventDeletions,
    secrets,
    clock,
    log: silentLogger(),
  };
  const purging = purgeDue(dependencies, AbortSignal.timeout(600_000));
  await othersPurged.promise;
  t.deepEqual(purged, others);
  peer.resolve();
  await purging;
  t.deepEqual(purged, [...others, slow]);
  const signal = AbortSignal.timeout(600_000);
  t.deepEqual(await world.projects.due(new Date(dueMs), { limit: 9 }, signal), [broken]);
});
