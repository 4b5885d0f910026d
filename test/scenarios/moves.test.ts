import { status } from '@grpc/grpc-js';
import { reasonName } from '@silo/errors/reason-name.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { Organization } from '@silo/protos/gen/silo/org/v1/organization.ts';
import { newId } from '@silo/tokens/ids.ts';
import { createKey, join } from '../authorization/world.ts';
import type { SignedUp } from '../harness/clients.ts';
import { outcomes, refused } from '../harness/refusals.ts';
import { mover } from './move-support.ts';
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

async function owner({ api }: SignedUp, projectId: string): Promise<string | undefined> {
  return (await api.projects.getProject({ projectId })).project?.organizationId;
}

const lockCreation = ({ api }: SignedUp, id: string) =>
  api.organizations.updateOrganization({
    organization: Organization.fromPartial({ id }),
    updateMask: ['members_may_create_projects'],
    requestId: '',
  });

test('a move changes only the owner of the project', async (t) => {
  const { silo } = t.context;
  const { api, account, sourceId, destinationId, project } = await mover(silo);
  const projectId = project.id;
  const { projectToken } = await api.projectTokens.getProjectToken({ projectId });
  const moved = await moveProject(api, projectId, destinationId);
  t.like(moved.move, {
    projectId,
    sourceOrganizationId: sourceId,
    destinationOrganizationId: destinationId,
    actorAccountId: account.id,
  });
  t.regex(present(moved.move).id, /^mov_[0-9a-z]{26}$/);
  t.like(moved.project, { id: projectId, organizationId: destinationId, name: project.name });
  t.deepEqual(moved.project?.settings, project.settings);
  t.deepEqual((await api.projects.getProject({ projectId })).project, moved.project);
  t.deepEqual((await api.projectTokens.getProjectToken({ projectId })).projectToken, projectToken);
  const token = present(projectToken).token;
  const { answer } = await silo.internal().token.access.verifyToken({ token });
  t.deepEqual(answer, { $case: 'facts', value: { projectId, organizationId: destinationId } });
  t.deepEqual(await projectNames(api, sourceId), ['Default Project']);
  t.deepEqual((await projectNames(api, destinationId)).sort(), ['Default Project', 'Moving 1']);
});

test('accounts left behind and their keys have no access when the move returns', async (t) => {
  const { silo } = t.context;
  const ada = await mover(silo);
  const [stays, follows] = [await silo.signUp('Stays'), await silo.signUp('Follows')];
  await join(ada, stays, LEVEL_ADMIN);
  await join(ada, follows, LEVEL_MEMBER);
  await join(ada, follows, LEVEL_MEMBER, ada.destinationId);
  const projectId = ada.project.id;
  const named = await createKey(stays.api, { scopes: ['*'], projectIds: [projectId] });
  const key = silo.as(named.secret);
  await key.projects.getProject({ projectId });
  await moveProject(ada.api, projectId, ada.destinationId);
  for (const api of [stays.api, key]) {
    await refused(t, api.projects.getProject({ projectId }), 'PROJECT_NOT_FOUND');
    await refused(t, api.projectTokens.getProjectToken({ projectId }), 'PROJECT_NOT_FOUND');
    const activity = api.activity.listActivity({ organizationId: '', projectId, ...firstPage });
    await refused(t, activity, 'PROJECT_NOT_FOUND');
  }
  t.is(await owner(follows, projectId), ada.destinationId);
  await moveProject(ada.api, projectId, ada.sourceId);
  t.is((await key.projects.getProject({ projectId })).project?.id, projectId, 'unchanged');
});

test('a key restricted to the source loses the project, even if its owner keeps it; a key restricted to the project keeps it', async (t) => {
  const { silo } = t.context;
  const { api, sourceId, destinationId, project } = await mover(silo);
  const projectId = project.id;
  const inSource = await createKey(api, { scopes: ['*'], organizationIds: [sourceId] });
  const inProject = await createKey(api, { scopes: ['*'], projectIds: [projectId] });
  await moveProject(api, projectId, destinationId);
  const lost = silo.as(inSource.secret).projects.getProject({ projectId });
  await refused(t, lost, 'PROJECT_NOT_FOUND');
  const kept = await silo.as(inProject.secret).projects.getProject({ projectId });
  t.is(kept.project?.organizationId, destinationId);
});

test('a restricted key moves only between organizations that it reaches', async (t) => {
  const { silo } = t.context;
  const { api, sourceId, destinationId, project } = await mover(silo);
  const scopes = ['*'];
  const source = await createKey(api, { scopes, organizationIds: [sourceId] });
  const onlySource = moveProject(silo.as(source.secret), project.id, destinationId);
  await refused(t, onlySource, 'ORGANIZATION_NOT_FOUND');
  const destination = await createKey(api, { scopes, organizationIds: [destinationId] });
  const onlyDestination = moveProject(silo.as(destination.secret), project.id, destinationId);
  await refused(t, onlyDestination, 'PROJECT_NOT_FOUND');
  const both = await createKey(api, { scopes, organizationIds: [sourceId, destinationId] });
  await moveProject(silo.as(both.secret), project.id, destinationId);
});

test('a key restricted to a project and to the destination does not move it: both organizations must be named', async (t) => {
  const { silo } = t.context;
  const { api, sourceId, destinationId, project } = await mover(silo);
  const { id: projectId } = project;
  const named = { organizationIds: [destinationId], projectIds: [projectId] };
  const { secret } = await createKey(api, { scopes: ['*'], ...named });
  const { projects } = silo.as(secret);
  const preview = projects.previewMove({
    ...{ projectId, destinationOrganizationId: destinationId },
    ...{ sourceOrganizationId: '', projectIds: [] },
  });
  await refused(t, preview, 'KEY_RESTRICTED');
  const destinations = projects.listMoveDestinations({ projectId, ...firstPage });
  await refused(t, destinations, 'KEY_RESTRICTED');
  await refused(t, moveProject(silo.as(secret), projectId, destinationId), 'KEY_RESTRICTED');
  const { move } = await moveProject(api, projectId, destinationId);
  const moveId = present(move).id;
  const undo = projects.undoMove({ moveId, requestId: '' });
  const { details } = await refused(t, undo, 'ORGANIZATION_NOT_FOUND');
  t.is(details.resourceInfo?.resourceName, sourceId);
});

test('the destination must be in the region, determined by its id alone: CROSS_REGION', async (t) => {
  const { api, project } = await mover(t.context.silo);
  const abroad = newId('org_eu');
  const { details, ...error } = await refused(
    t,
    moveProject(api, project.id, abroad),
    'CROSS_REGION',
  );
  t.is(error.code, status.FAILED_PRECONDITION);
  t.deepEqual(error.metadata, { region: 'eu' });
  t.is(details.preconditionFailure?.[0]?.type, 'CROSS_REGION');
  t.regex(
    details.preconditionFailure?.[0]?.description ?? '',
    /within their region: choose a destination in us/,
  );
});

test('the caller of a move must be an admin of the source: ADMIN_REQUIRED for members, PROJECT_NOT_FOUND for others', async (t) => {
  const { silo } = t.context;
  const ada = await mover(silo);
  const [member, stranger] = [await silo.signUp('Member'), await silo.signUp('Stranger')];
  await join(ada, member, LEVEL_MEMBER);
  const asMember = moveProject(member.api, ada.project.id, member.organization.id);
  const { metadata, code } = await refused(t, asMember, 'ADMIN_REQUIRED');
  t.deepEqual([metadata.level, code], ['ADMIN', status.PERMISSION_DENIED]);
  const asStranger = moveProject(stranger.api, ada.project.id, stranger.organization.id);
  await refused(t, asStranger, 'PROJECT_NOT_FOUND');
});

test('the caller of a move must be a member of the destination, otherwise it gets ORGANIZATION_NOT_FOUND', async (t) => {
  const { silo } = t.context;
  const { api, project } = await mover(silo);
  // It is also full, which the error does not reveal.
  const { organization } = await silo.signUp('Stranger');
  const foreign = await refused(
    t,
    moveProject(api, project.id, organization.id),
    'ORGANIZATION_NOT_FOUND',
  );
  t.is(foreign.code, status.NOT_FOUND);
  t.deepEqual(Object.keys(foreign.details), ['resourceInfo']);
});

test('if members may not create projects, moving one there requires an admin: ADMIN_REQUIRED', async (t) => {
  const { silo } = t.context;
  const ada = await mover(silo);
  const bob = await silo.signUp('Bob');
  await choosePlan(bob.api, bob.organization.id);
  await join(bob, ada, LEVEL_MEMBER);
  await lockCreation(bob, bob.organization.id);
  const move = () => moveProject(ada.api, ada.project.id, bob.organization.id);
  await refused(t, move(), 'ADMIN_REQUIRED');
  await bob.api.organizations.updateOrganization({
    organization: Organization.fromPartial({
      id: bob.organization.id,
      membersMayCreateProjects: true,
    }),
    updateMask: undefined,
    requestId: '',
  });
  await move();
});

test('the source must keep a project: LAST_PROJECT', async (t) => {
  const { api, organization, projectId } = await t.context.silo.signUp();
  const { organizationId } = await createOrganization(api);
  await choosePlan(api, organizationId);
  const error = await refused(t, moveProject(api, projectId, organizationId), 'LAST_PROJECT');
  t.is(error.code, status.FAILED_PRECONDITION);
  t.deepEqual(
    error.details.preconditionFailure?.map(({ type }) => type),
    ['LAST_PROJECT'],
  );
  t.deepEqual(await projectNames(api, organization.id), ['Default Project']);
});

test('the destination must differ from the source: ALREADY_THERE, without counts that would not change', async (t) => {
  const { api, organization, projectId } = await t.context.silo.signUp();
  // Its last project, and a full organization: both would matter for another destination.
  const error = await refused(t, moveProject(api, projectId, organization.id), 'ALREADY_THERE');
  t.is(error.code, status.FAILED_PRECONDITION);
  t.deepEqual(
    error.details.preconditionFailure?.map(({ type }) => type),
    ['ALREADY_THERE'],
  );
});

test('the destination must have a free slot: PROJECT_LIMIT, with its counts and the next step', async (t) => {
  const { api, project } = await mover(t.context.silo);
  const { organizationId } = await createOrganization(api, 'Full');
  const error = await refused(t, moveProject(api, project.id, organizationId), 'PROJECT_LIMIT');
  t.is(error.code, status.RESOURCE_EXHAUSTED);
  t.deepEqual(error.metadata, { limit: '1', count: '1', organization_id: organizationId });
  t.is(error.details.quotaFailure?.[0]?.subject, organizationId);
  t.regex(error.details.quotaFailure?.[0]?.description ?? '', /delete a project .* or upgrade/i);
  t.is(error.details.preconditionFailure?.[0]?.type, 'PROJECT_LIMIT');
});

test('all violated state rules are reported together, with the code and reason of the first', async (t) => {
  const { api, projectId } = await t.context.silo.signUp();
  const { organizationId } = await createOrganization(api, 'Full');
  const error = await refused(t, moveProject(api, projectId, organizationId), 'LAST_PROJECT');
  t.is(error.code, status.FAILED_PRECONDITION);
  t.deepEqual(
    error.details.preconditionFailure?.map(({ type }) => type),
    ['LAST_PROJECT', 'PROJECT_LIMIT'],
  );
  t.is(error.details.quotaFailure?.[0]?.subject, organizationId);
});

test('a deleted project does not move, even if deletion and move race', async (t) => {
  const { api, sourceId, destinationId, project } = await mover(t.context.silo);
  const remove = (projectId: string) =>
    api.projects.deleteProject({ projectId, etag: '', requestId: '' });
  for (let round = 0; round < 4; round++) {
    const { id } = await createProject(api, sourceId);
    const [deleted, moved] = await outcomes([remove(id), moveProject(api, id, destinationId)]);
    if (deleted === 'OK') t.regex(moved ?? '', /^(OK|PROJECT_NOT_ACTIVE|PROJECT_NOT_FOUND)$/);
    else t.fail(deleted);
  }
  await remove(project.id);
  await refused(t, moveProject(api, project.id, destinationId), 'PROJECT_NOT_FOUND');
});

test('a project does not move if its etag is out of date', async (t) => {
  const { api, destinationId, project, sourceId } = await mover(t.context.silo);
  const projectId = project.id;
  const move = (etag: string, destinationOrganizationId: string) => {
    const ends = { projectId, destinationOrganizationId };
    return api.projects.moveProject({ ...ends, etag, requestId: '', planFingerprint: '' });
  };
  await move(project.etag, destinationId);
  await refused(t, move(project.etag, sourceId), 'ETAG_MISMATCH');
});

test('the list of destinations shows, for each of the caller’s other organizations, how a move there would be refused', async (t) => {
  const { silo } = t.context;
  const ada = await mover(silo);
  const { organizationId: full } = await createOrganization(ada.api, 'Full');
  const bob = await silo.signUp('Bob');
  await join(bob, ada, LEVEL_MEMBER);
  await lockCreation(bob, bob.organization.id);
  const { destinations } = await ada.api.projects.listMoveDestinations({
    projectId: ada.project.id,
    ...firstPage,
  });
  const listed = Object.fromEntries(
    destinations.map(({ organizationId, blockers }) => [
      organizationId,
      blockers.map(({ reason }) => reasonName(reason)),
    ]),
  );
  t.deepEqual(listed, {
    [ada.destinationId]: [],
    [full]: ['PROJECT_LIMIT'],
    [bob.organization.id]: ['ADMIN_REQUIRED', 'PROJECT_LIMIT'],
  });
  for (const [organizationId, [first]] of Object.entries(listed)) {
    const [outcome] = await outcomes([moveProject(ada.api, ada.project.id, organizationId)]);
    t.is(outcome, first ?? 'OK');
  }
});

test('two concurrent moves of the last two projects do not empty the source', async (t) => {
  const { api, sourceId, destinationId, projectId, project } = await mover(t.context.silo);
  for (let round = 0; round < 6; round++) {
    const pair = [projectId, project.id];
    const all = await outcomes(pair.map((id) => moveProject(api, id, destinationId)));
    t.deepEqual(all.toSorted(), ['LAST_PROJECT', 'OK']);
    t.is((await projectNames(api, sourceId)).length, 1);
    await moveProject(api, pair[all.indexOf('OK')] ?? '', sourceId);
  }
});

test('however many creates and moves race for slots, the limit holds', async (t) => {
  const { api, sourceId } = await mover(t.context.silo);
  const { organizationId: destinationId } = await createOrganization(api, 'Six at most');
  await choosePlan(api, destinationId);
  const projects = await Promise.all(Array.from({ length: 6 }, () => createProject(api, sourceId)));
  const all = await outcomes([
    ...projects.map(({ id }) => moveProject(api, id, destinationId)),
    ...projects.map(() => createProject(api, destinationId)),
  ]);
  t.is(all.filter((each) => each === 'OK').length, 5, all.join());
  t.is(all.filter((each) => each === 'PROJECT_LIMIT').length, 7, all.join());
  t.is((await projectNames(api, destinationId)).length, 6);
});

test('projects that change places at once both arrive', async (t) => {
  const { api, sourceId, destinationId, project } = await mover(t.context.silo);
  const other = await createProject(api, destinationId, { name: 'Other' });
  for (const [there, back] of [
    [destinationId, sourceId],
    [sourceId, destinationId],
  ] as const) {
    const all = await outcomes([
      moveProject(api, project.id, there),
      moveProject(api, other.id, back),
    ]);
    t.deepEqual(all, ['OK', 'OK']);
  }
});

test('one project moved to two destinations at once is in one of them', async (t) => {
  const ada = await mover(t.context.silo);
  const { organizationId: elsewhere } = await createOrganization(ada.api, 'Elsewhere');
  await choosePlan(ada.api, elsewhere);
  const all = await outcomes([
    moveProject(ada.api, ada.project.id, ada.destinationId),
    moveProject(ada.api, ada.project.id, elsewhere),
  ]);
  t.true(all.includes('OK'), all.join());
  const places = await Promise.all(
    [ada.sourceId, ada.destinationId, elsewhere].map((id) => projectNames(ada.api, id)),
  );
  t.is(places.flat().filter((name) => name === 'Moving 1').length, 1);
});

test('while a project moves, every reader sees it in one of the two organizations, and its token works', async (t) => {
  const { silo } = t.context;
  const ada = await mover(silo);
  const projectId = ada.project.id;
  const read = await ada.api.projectTokens.getProjectToken({ projectId });
  const { token } = present(read.projectToken);
  const { access } = silo.internal().token;
  const both = [ada.sourceId, ada.destinationId];
  let moving = true;
  const seen: (string | undefined)[] = [];
  const watch = async () => {
    while (moving) {
      seen.push(await owner(ada, projectId));
      const { answer } = await access.verifyToken({ token });
      seen.push(answer?.$case === 'facts' ? answer.value.organizationId : 'refused');
    }
  };
  const watching = Promise.all([watch(), watch()]);
  for (let round = 0; round < 10; round++) {
    await moveProject(ada.api, projectId, both[(round + 1) % 2] ?? '');
  }
  moving = false;
  await watching;
  t.deepEqual([...new Set(seen)].sort(), both.toSorted());
});
