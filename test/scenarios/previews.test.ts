import { status } from '@grpc/grpc-js';
import { reasonName } from '@silo/errors/reason-name.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { Organization } from '@silo/protos/gen/silo/org/v1/organization.ts';
import { Project } from '@silo/protos/gen/silo/project/v1/project.ts';
import {
  type AccessChange,
  moveRuleToJSON,
  type PreviewMoveResponse,
} from '@silo/protos/gen/silo/project/v1/project_service.ts';
import { newId } from '@silo/tokens/ids.ts';
import { createKey, join } from '../authorization/world.ts';
import { refused } from '../harness/refusals.ts';
import type { TestSilo } from '../harness/silo.ts';
import {
  moveBatch,
  movePlanned,
  mover,
  ownerOf,
  previewBatch,
  previewOne,
} from './move-support.ts';
import {
  choosePlan,
  createOrganization,
  createProject,
  moveProject,
  present,
  scenarios,
} from './support.ts';

const test = scenarios();
const { LEVEL_ADMIN, LEVEL_MEMBER, LEVEL_OWNER } = Level;

const broken = ({ checks }: PreviewMoveResponse) =>
  checks.filter(({ passed }) => !passed).map(({ reason }) => reasonName(reason));
const accounts = (change: AccessChange | undefined) =>
  present(change).members.map(({ accountId }) => accountId);

test('a preview returns every rule and the slots of both organizations, and changes nothing', async (t) => {
  const { api, movingId, sourceId, destinationId } = await mover(t.context.silo);
  const preview = await previewOne(api, movingId, destinationId);
  t.deepEqual(
    preview.checks.map(({ rule, passed }) => [moveRuleToJSON(rule), passed]),
    [
      ['MOVE_RULE_SAME_REGION', true],
      ['MOVE_RULE_SOURCE_ADMIN', true],
      ['MOVE_RULE_DESTINATION_MEMBER', true],
      ['MOVE_RULE_MAY_CREATE_IN_DESTINATION', true],
      ['MOVE_RULE_SOURCE_KEEPS_PROJECT', true],
      ['MOVE_RULE_ELSEWHERE', true],
      ['MOVE_RULE_DESTINATION_HAS_ROOM', true],
      ['MOVE_RULE_PROJECTS_ACTIVE', true],
    ],
  );
  t.true(preview.allowed);
  t.deepEqual(preview.source, {
    ...{ organizationId: sourceId, limit: undefined, countBefore: 2, countAfter: 1 },
  });
  t.deepEqual(preview.destination, {
    ...{ organizationId: destinationId, limit: undefined, countBefore: 1, countAfter: 2 },
  });
  t.is(await ownerOf(api, movingId), sourceId);
  await movePlanned(api, movingId, destinationId, preview.planFingerprint);
  t.is(await ownerOf(api, movingId), destinationId);
});

test('a preview returns everything that prevents the move, and how to resolve it', async (t) => {
  const { silo } = t.context;
  const [ada, bob] = [await silo.signUp('Ada'), await silo.signUp('Bob')];
  await join(bob, ada, LEVEL_MEMBER);
  await bob.api.organizations.updateOrganization({
    organization: Organization.fromPartial({ id: bob.organization.id }),
    updateMask: ['members_may_create_projects'],
    requestId: '',
  });
  const preview = await previewOne(ada.api, ada.projectId, bob.organization.id);
  t.false(preview.allowed);
  t.deepEqual(broken(preview), ['ADMIN_REQUIRED', 'LAST_PROJECT', 'PROJECT_LIMIT']);
  t.true(preview.checks.every(({ passed, description }) => passed === (description === '')));
  t.deepEqual(
    [preview.destination?.limit, preview.destination?.countBefore, preview.destination?.countAfter],
    [1, 1, 2],
  );
  const there = await previewOne(ada.api, ada.projectId, ada.organization.id);
  t.deepEqual(broken(there), ['ALREADY_THERE']);
  t.deepEqual([there.source?.countAfter, there.destination?.countAfter], [1, 1]);
});

test('a preview of a batch names the projects that are not active', async (t) => {
  const ada = await mover(t.context.silo, { projects: 3 });
  const [gone = ''] = ada.projectIds;
  await ada.api.projects.deleteProject({ projectId: gone, etag: '', requestId: '' });
  const move = { from: ada.sourceId, to: ada.destinationId, projectIds: ada.projectIds };
  const preview = await previewBatch(ada.api, move);
  t.deepEqual(broken(preview), ['PROJECT_NOT_ACTIVE']);
  t.deepEqual(preview.checks.at(-1)?.projectIds, [gone]);
  t.deepEqual([preview.source?.countBefore, preview.source?.countAfter], [3, 1]);
});

test('a preview reveals nothing that the move would not reveal', async (t) => {
  const { silo } = t.context;
  const ada = await mover(silo);
  const [bob, eve] = [await silo.signUp('Bob'), await silo.signUp('Eve')];
  await join(ada, bob, LEVEL_MEMBER);
  const preview = (to: string) => previewOne(ada.api, ada.movingId, to);
  await refused(t, preview(newId('org_eu')), 'CROSS_REGION');
  await refused(t, preview(eve.organization.id), 'ORGANIZATION_NOT_FOUND');
  const byMember = previewOne(bob.api, ada.movingId, bob.organization.id);
  await refused(t, byMember, 'ADMIN_REQUIRED');
  const byStranger = previewOne(eve.api, ada.movingId, eve.organization.id);
  await refused(t, byStranger, 'PROJECT_NOT_FOUND');
});

test('a preview returns the lost and gained access, and the owners of keys, but not the keys', async (t) => {
  const { silo } = t.context;
  const ada = await mover(silo);
  const [stays, follows, there] = [
    await silo.signUp('Stays'),
    await silo.signUp('Follows'),
    await silo.signUp('There'),
  ];
  await join(ada, stays, LEVEL_ADMIN);
  await join(ada, follows, LEVEL_ADMIN);
  await join(ada, follows, LEVEL_MEMBER, ada.destinationId);
  await join(ada, there, LEVEL_MEMBER, ada.destinationId);
  const bound = await createKey(ada.api, { scopes: ['*'], organizationIds: [ada.sourceId] });
  const foreign = await createKey(follows.api, { scopes: ['*'], organizationIds: [ada.sourceId] });
  await createKey(stays.api, { scopes: ['billing:write'] });
  const { losing, gaining } = await previewOne(ada.api, ada.movingId, ada.destinationId);
  t.deepEqual(losing?.members, [
    { accountId: stays.account.id, displayName: 'Stays', level: LEVEL_ADMIN },
  ]);
  t.deepEqual(losing?.ownKeys, [{ keyId: bound.apiKey.id, name: 'further', projectIds: [] }]);
  const owners = [
    { accountId: stays.account.id, displayName: 'Stays', keyCount: 1 },
    { accountId: follows.account.id, displayName: 'Follows', keyCount: 1 },
  ];
  t.deepEqual(
    losing?.otherKeys,
    owners.toSorted((a, b) => (a.accountId < b.accountId ? -1 : 1)),
  );
  t.like(losing, { memberCount: 1, ownKeyCount: 1, otherKeyCount: 2, otherOwnerCount: 2 });
  t.deepEqual(accounts(gaining), [there.account.id]);
  t.like(gaining, { memberCount: 1, ownKeyCount: 0, otherKeyCount: 1, otherOwnerCount: 1 });
  t.false(JSON.stringify(losing).includes(foreign.apiKey.id));
});

test('the effect that a preview shows for a key happens', async (t) => {
  const { silo } = t.context;
  const ada = await mover(silo);
  const scopes = ['project:read'];
  const wanted = [
    {},
    { organizationIds: [ada.sourceId] },
    { organizationIds: [ada.destinationId] },
    { projectIds: [ada.movingId] },
    { organizationIds: [ada.sourceId, ada.destinationId] },
  ];
  const keys = await Promise.all(wanted.map((each) => createKey(ada.api, { scopes, ...each })));
  const reaching = async () => {
    const reached: string[] = [];
    for (const { apiKey, secret } of keys) {
      const read = silo.as(secret).projects.getProject({ projectId: ada.movingId });
      if (
        await read.then(
          () => true,
          () => false,
        )
      )
        reached.push(apiKey.id);
    }
    return reached;
  };
  const before = await reaching();
  const { losing, gaining } = await previewOne(ada.api, ada.movingId, ada.destinationId);
  await moveProject(ada.api, ada.movingId, ada.destinationId);
  const after = await reaching();
  const own = (change: AccessChange | undefined) =>
    present(change).ownKeys.map(({ keyId }) => keyId);
  t.deepEqual(
    before.filter((id) => !after.includes(id)),
    own(losing),
  );
  t.deepEqual(
    after.filter((id) => !before.includes(id)),
    own(gaining),
  );
});

type Change = (ada: Awaited<ReturnType<typeof mover>>) => Promise<unknown>;
type World = { silo: TestSilo };

/** Changes between preview and move that do not change the effect of the move. */
const harmless: Record<string, Change> = {
  'a renamed project': ({ api, movingId }) =>
    api.projects.updateProject({
      project: Project.fromPartial({ id: movingId, name: 'Renamed' }),
      updateMask: undefined,
      requestId: '',
    }),
  'one more project on either side': async ({ api, sourceId, destinationId }) => {
    await createProject(api, sourceId);
    await createProject(api, destinationId);
  },
  'an organization renamed': ({ api, destinationId }) =>
    api.organizations.updateOrganization({
      organization: Organization.fromPartial({ id: destinationId, name: 'Renamed' }),
      updateMask: ['name'],
      requestId: '',
    }),
  'a key that concerns no project': ({ api }) => createKey(api, { scopes: ['billing:read'] }),
  'an unrestricted key of a member of both': ({ api }) => createKey(api, { scopes: ['*'] }),
};

for (const [what, change] of Object.entries(harmless)) {
  test(`${what} does not invalidate a fingerprint`, async (t) => {
    const ada = await mover(t.context.silo);
    const { planFingerprint } = await previewOne(ada.api, ada.movingId, ada.destinationId);
    await change(ada);
    await movePlanned(ada.api, ada.movingId, ada.destinationId, planFingerprint);
    t.is(await ownerOf(ada.api, ada.movingId), ada.destinationId);
  });
}

/** Changes of the effect of a move, and what the error reports. */
const spoiling: Record<string, { changed: string; change: (world: World) => Change }> = {
  'one more member that loses access': {
    changed: 'losing_members,losing_keys',
    change:
      ({ silo }) =>
      async (ada) =>
        join(ada, await silo.signUp('New'), LEVEL_MEMBER),
  },
  'one more member that gains access': {
    changed: 'gaining_members,gaining_keys',
    change:
      ({ silo }) =>
      async (ada) =>
        join(ada, await silo.signUp('New'), LEVEL_OWNER, ada.destinationId),
  },
  'one more key that loses access': {
    changed: 'losing_keys',
    change:
      () =>
      ({ api, sourceId }) =>
        createKey(api, { scopes: ['event:read'], organizationIds: [sourceId] }),
  },
  'one more key that gains access': {
    changed: 'gaining_keys',
    change:
      () =>
      ({ api, destinationId }) =>
        createKey(api, { scopes: ['token:write'], organizationIds: [destinationId] }),
  },
  'the project moved away and back': {
    changed: 'move',
    change:
      () =>
      async ({ api, movingId, sourceId, destinationId }) => {
        await moveProject(api, movingId, destinationId);
        await moveProject(api, movingId, sourceId);
      },
  },
};

for (const [what, { changed, change }] of Object.entries(spoiling)) {
  test(`${what} invalidates a fingerprint, and the refusal reports the change: ${changed}`, async (t) => {
    const ada = await mover(t.context.silo);
    const { planFingerprint } = await previewOne(ada.api, ada.movingId, ada.destinationId);
    await change(t.context)(ada);
    const move = movePlanned(ada.api, ada.movingId, ada.destinationId, planFingerprint);
    const error = await refused(t, move, 'PLAN_CHANGED');
    t.is(error.code, status.ABORTED);
    t.deepEqual(error.metadata, { changed });
    t.deepEqual(
      error.details.preconditionFailure?.map(({ type, subject }) => [type, subject]),
      changed.split(',').map((each) => ['PLAN_CHANGED', each]),
    );
    t.is(await ownerOf(ada.api, ada.movingId), ada.sourceId);
    const again = await previewOne(ada.api, ada.movingId, ada.destinationId);
    await movePlanned(ada.api, ada.movingId, ada.destinationId, again.planFingerprint);
  });
}

test('a new violation is reported first, with PLAN_CHANGED as a further violation', async (t) => {
  const ada = await mover(t.context.silo);
  const { organizationId } = await createOrganization(ada.api, 'Six at most');
  await choosePlan(ada.api, organizationId);
  const { planFingerprint } = await previewOne(ada.api, ada.movingId, organizationId);
  for (let made = 1; made < 6; made++) await createProject(ada.api, organizationId);
  const move = movePlanned(ada.api, ada.movingId, organizationId, planFingerprint);
  const error = await refused(t, move, 'PROJECT_LIMIT');
  t.is(error.code, status.RESOURCE_EXHAUSTED);
  t.deepEqual(
    error.details.preconditionFailure?.map(({ type }) => type),
    ['PROJECT_LIMIT', 'PLAN_CHANGED'],
  );
});

test('a violation that has ended invalidates a fingerprint, too', async (t) => {
  const ada = await mover(t.context.silo);
  const { organizationId } = await createOrganization(ada.api, 'Full');
  const { planFingerprint, allowed } = await previewOne(ada.api, ada.movingId, organizationId);
  t.false(allowed);
  const move = () => movePlanned(ada.api, ada.movingId, organizationId, planFingerprint);
  await refused(t, move(), 'PROJECT_LIMIT');
  await choosePlan(ada.api, organizationId);
  const { metadata } = await refused(t, move(), 'PLAN_CHANGED');
  t.is(metadata.changed, 'refusals');
});

test('a fingerprint is only for one move: of these projects, to this destination', async (t) => {
  const ada = await mover(t.context.silo, { projects: 3 });
  const [one = '', two = ''] = ada.projectIds;
  const { organizationId: elsewhere } = await createOrganization(ada.api, 'Elsewhere');
  await choosePlan(ada.api, elsewhere);
  const { planFingerprint } = await previewOne(ada.api, one, ada.destinationId);
  await refused(t, movePlanned(ada.api, two, ada.destinationId, planFingerprint), 'PLAN_CHANGED');
  await refused(t, movePlanned(ada.api, one, elsewhere, planFingerprint), 'PLAN_CHANGED');
  const ends = { from: ada.sourceId, to: ada.destinationId };
  const more = moveBatch(ada.api, { ...ends, projectIds: [one, two] }, { planFingerprint });
  await refused(t, more, 'PLAN_CHANGED');
  // A batch of one project is the same move.
  await moveBatch(ada.api, { ...ends, projectIds: [one] }, { planFingerprint });
});

test('the fingerprint of a batch is independent of the order of its projects', async (t) => {
  const ada = await mover(t.context.silo, { projects: 3 });
  const move = { from: ada.sourceId, to: ada.destinationId, projectIds: ada.projectIds };
  const { planFingerprint } = await previewBatch(ada.api, move);
  const projectIds = ada.projectIds.toReversed();
  const { projectIds: moved } = await moveBatch(
    ada.api,
    { ...move, projectIds },
    { planFingerprint },
  );
  t.deepEqual(moved, projectIds);
});
