import { randomUUID } from 'node:crypto';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { Member, Organization } from '@silo/protos/gen/silo/org/v1/organization.ts';
import { join } from '../authorization/world.ts';
import type { PublicApi, SignedUp } from '../harness/clients.ts';
import { outcomes, refused } from '../harness/refusals.ts';
import { createOrganization, createProject, firstPage, present, scenarios } from './support.ts';

const test = scenarios();
const { LEVEL_ADMIN, LEVEL_MEMBER, LEVEL_OWNER } = Level;

function setLevel(
  { api }: SignedUp,
  organizationId: string,
  { account }: SignedUp,
  level: Level,
  etag = '',
) {
  return api.organizations.updateMember({
    member: Member.fromPartial({ organizationId, accountId: account.id, level, etag }),
    updateMask: undefined,
    requestId: '',
  });
}

function remove({ api }: SignedUp, organizationId: string, { account }: SignedUp, etag = '') {
  const which = { organizationId, accountId: account.id };
  return api.organizations.removeMember({ ...which, etag, requestId: '' });
}

function leave({ api }: SignedUp, organizationId: string) {
  return api.organizations.leaveOrganization({ organizationId, requestId: '' });
}

function update(
  { api }: SignedUp,
  organization: Partial<Organization>,
  updateMask: string[] | undefined,
) {
  return api.organizations.updateOrganization({
    organization: Organization.fromPartial(organization),
    updateMask,
    requestId: '',
  });
}

async function levels(api: PublicApi, organizationId: string): Promise<Record<string, Level>> {
  const { members } = await api.organizations.listMembers({ organizationId, ...firstPage });
  return Object.fromEntries(members.map(({ accountId, level }) => [accountId, level]));
}

async function team({ silo }: { silo: { signUp(name: string): Promise<SignedUp> } }) {
  const [owner, admin, member] = await Promise.all(
    ['Owner', 'Admin', 'Member'].map((name) => silo.signUp(name)),
  );
  if (!owner || !admin || !member) throw new Error('nobody signed up');
  await join(owner, admin, LEVEL_ADMIN);
  await join(owner, member, LEVEL_MEMBER);
  return { owner, admin, member, id: owner.organization.id };
}

test('an admin changes name and rules of an organization; a member does not', async (t) => {
  const { admin, member, id } = await team(t.context);
  await refused(t, update(member, { id, name: 'Mine' }, undefined), 'ADMIN_REQUIRED');
  const { organization } = await update(admin, { id, name: 'Renamed' }, undefined);
  t.is(organization?.name, 'Renamed');
  t.true(organization?.membersMayCreateProjects, 'false is empty, and not set without a mask');
  const closed = await update(admin, { id }, ['members_may_create_projects']);
  t.false(closed.organization?.membersMayCreateProjects);
  t.is(closed.organization?.name, 'Renamed');
  t.is(closed.organization?.level, LEVEL_ADMIN);
});

test('an organization is not changed or deleted if its etag is out of date', async (t) => {
  const owner = await t.context.silo.signUp();
  const { id, etag } = owner.organization;
  await update(owner, { id, name: 'First', etag }, undefined);
  await refused(t, update(owner, { id, name: 'Second', etag }, undefined), 'ETAG_MISMATCH');
  const { projectId } = owner;
  await owner.api.projects.deleteProject({ projectId, etag: '', requestId: '' });
  const which = { organizationId: id, etag, requestId: '', endDeletedProjects: true };
  await refused(t, owner.api.organizations.deleteOrganization(which), 'ETAG_MISMATCH');
});

test('a member cannot grant, change or remove a level above its own', async (t) => {
  const { owner, admin, member, id } = await team(t.context);
  await refused(t, setLevel(admin, id, member, LEVEL_OWNER), 'ADMIN_REQUIRED');
  await refused(t, setLevel(admin, id, owner, LEVEL_MEMBER), 'ADMIN_REQUIRED');
  const { metadata } = await refused(t, remove(admin, id, owner), 'ADMIN_REQUIRED');
  t.is(metadata.level, 'OWNER');
  await refused(t, setLevel(member, id, member, LEVEL_ADMIN), 'ADMIN_REQUIRED');
  await refused(t, remove(member, id, admin), 'ADMIN_REQUIRED');
  t.deepEqual(await levels(owner.api, id), {
    [owner.account.id]: LEVEL_OWNER,
    [admin.account.id]: LEVEL_ADMIN,
    [member.account.id]: LEVEL_MEMBER,
  });
  await setLevel(admin, id, member, LEVEL_ADMIN);
  await setLevel(owner, id, member, LEVEL_OWNER);
  t.is((await levels(owner.api, id))[member.account.id], LEVEL_OWNER);
});

test('the last owner of an organization can neither leave, step down nor be removed', async (t) => {
  const { owner, member, id } = await team(t.context);
  await refused(t, leave(owner, id), 'LAST_OWNER');
  await refused(t, setLevel(owner, id, owner, LEVEL_ADMIN), 'LAST_OWNER');
  await refused(t, remove(owner, id, owner), 'LAST_OWNER');
  await setLevel(owner, id, member, LEVEL_OWNER);
  await leave(owner, id);
  await refused(t, leave(member, id), 'LAST_OWNER');
});

test('if two owners leave at the same time, one stays', async (t) => {
  const { owner, member, id } = await team(t.context);
  await setLevel(owner, id, member, LEVEL_OWNER);
  const ends = await outcomes([leave(owner, id), leave(member, id)]);
  t.deepEqual(ends.sort(), ['LAST_OWNER', 'OK']);
});

test('if two owners lower each other at the same time, one stays an owner', async (t) => {
  const { owner, member, id } = await team(t.context);
  await setLevel(owner, id, member, LEVEL_OWNER);
  const ends = await outcomes([
    setLevel(owner, id, member, LEVEL_MEMBER),
    setLevel(member, id, owner, LEVEL_MEMBER),
  ]);
  t.is(ends.filter((each) => each === 'OK').length, 1, ends.join());
});

test('a member is neither changed nor removed if its etag is out of date', async (t) => {
  const { owner, member, id } = await team(t.context);
  const changed = await setLevel(owner, id, member, LEVEL_ADMIN);
  const etag = present(changed.member).etag;
  await setLevel(owner, id, member, LEVEL_MEMBER, etag);
  await refused(t, setLevel(owner, id, member, LEVEL_ADMIN, etag), 'ETAG_MISMATCH');
  await refused(t, remove(owner, id, member, etag), 'ETAG_MISMATCH');
});

test('an account that is not a member cannot be changed or removed', async (t) => {
  const { owner, id } = await team(t.context);
  const stranger = await t.context.silo.signUp('Stranger');
  await refused(t, setLevel(owner, id, stranger, LEVEL_ADMIN), 'MEMBER_NOT_FOUND');
  await refused(t, remove(owner, id, stranger), 'MEMBER_NOT_FOUND');
});

test('a member that is removed or leaves has no access when the call returns, keys included', async (t) => {
  const { owner, admin, member, id } = await team(t.context);
  const { projectId } = owner;
  await remove(owner, id, member);
  await leave(admin, id);
  for (const { api } of [member, admin]) {
    await refused(t, api.projects.getProject({ projectId }), 'PROJECT_NOT_FOUND');
    const organization = api.organizations.getOrganization({ organizationId: id });
    await refused(t, organization, 'ORGANIZATION_NOT_FOUND');
    const { organizations } = await api.organizations.listOrganizations(firstPage);
    t.false(organizations.some((each) => each.id === id));
  }
});

test('a lowered member has only the access of the new level when the call returns', async (t) => {
  const { owner, admin, id } = await team(t.context);
  await setLevel(owner, id, admin, LEVEL_MEMBER);
  await refused(t, update(admin, { id, name: 'Mine' }, undefined), 'ADMIN_REQUIRED');
});

test('members are listed in the order in which they joined, page by page', async (t) => {
  const { owner, admin, member, id } = await team(t.context);
  const names: string[] = [];
  let pageToken = '';
  do {
    const page = { organizationId: id, pageSize: 1, pageToken };
    const answer = await member.api.organizations.listMembers(page);
    names.push(...answer.members.map(({ displayName }) => displayName));
    pageToken = answer.nextPageToken;
  } while (pageToken !== '');
  t.deepEqual(
    names,
    [owner, admin, member].map(({ account }) => account.displayName),
  );
});

test('an account lists the organizations that it is a member of, oldest first, with its level there', async (t) => {
  const { silo } = t.context;
  // One after the other, so that their age gives the order.
  const owner = await silo.signUp('Owner');
  const member = await silo.signUp('Member');
  await join(owner, member, LEVEL_MEMBER);
  const { organizations } = await member.api.organizations.listOrganizations(firstPage);
  t.deepEqual(
    organizations.map(({ id, level }) => [id, level]),
    [
      [owner.organization.id, LEVEL_MEMBER],
      [member.organization.id, LEVEL_OWNER],
    ],
  );
});

test('only an owner deletes an organization, and only one that has no project', async (t) => {
  const { owner, admin, id } = await team(t.context);
  const which = { organizationId: id, etag: '', requestId: '', endDeletedProjects: true };
  await refused(t, admin.api.organizations.deleteOrganization(which), 'ADMIN_REQUIRED');
  const full = await refused(
    t,
    owner.api.organizations.deleteOrganization(which),
    'ORGANIZATION_NOT_EMPTY',
  );
  t.is(full.metadata.project_count, '1');
  t.is(full.details.preconditionFailure?.[0]?.type, 'ORGANIZATION_NOT_EMPTY');
  const { projectId } = owner;
  await owner.api.projects.deleteProject({ projectId, etag: '', requestId: '' });
  await owner.api.organizations.deleteOrganization(which);
  for (const { api } of [owner, admin]) {
    const read = api.organizations.getOrganization({ organizationId: id });
    await refused(t, read, 'ORGANIZATION_NOT_FOUND');
    await refused(t, createProject(api, id), 'ORGANIZATION_NOT_FOUND');
  }
});

test('deleted projects that could still be undeleted end with their organization only if the request says so', async (t) => {
  const { api, organization, projectId } = await t.context.silo.signUp();
  const which = { organizationId: organization.id, etag: '', requestId: randomUUID() };
  const remove = (endDeletedProjects: boolean) =>
    api.organizations.deleteOrganization({ ...which, endDeletedProjects });
  const full = await refused(t, remove(true), 'ORGANIZATION_NOT_EMPTY');
  t.deepEqual(full.metadata, { project_count: '1', deleted_project_count: '0' });
  await api.projects.deleteProject({ projectId, etag: '', requestId: '' });
  const lossy = await refused(t, remove(false), 'ORGANIZATION_NOT_EMPTY');
  t.deepEqual(lossy.metadata, { project_count: '0', deleted_project_count: '1' });
  t.regex(lossy.details.preconditionFailure?.[0]?.description ?? '', /end_deleted_projects/);
  await createProject(api, organization.id);
  const both = await refused(t, remove(false), 'ORGANIZATION_NOT_EMPTY');
  t.is(both.details.preconditionFailure?.length, 2);
  const { projects } = await api.projects.listProjects({
    organizationId: organization.id,
    showDeleted: false,
    ...firstPage,
  });
  for (const { id } of projects) {
    await api.projects.deleteProject({ projectId: id, etag: '', requestId: '' });
  }
  await remove(true);
  const undelete = api.projects.undeleteProject({ projectId, requestId: '' });
  await refused(t, undelete, 'PROJECT_NOT_FOUND');
});

test('of a concurrent undelete and deletion of the organization, one is refused', async (t) => {
  const { api } = await t.context.silo.signUp();
  for (let round = 0; round < 5; round++) {
    const { organizationId, projectId } = await createOrganization(api);
    await api.projects.deleteProject({ projectId, etag: '', requestId: '' });
    const [deleted, undeleted] = await outcomes([
      api.organizations.deleteOrganization({
        ...{ organizationId, etag: '', requestId: '', endDeletedProjects: true },
      }),
      api.projects.undeleteProject({ projectId, requestId: '' }),
    ]);
    if (undeleted === 'OK') t.is(deleted, 'ORGANIZATION_NOT_EMPTY');
    else t.is(deleted, 'OK', undeleted);
  }
});

test('after a refused deletion the organization is as usable as before', async (t) => {
  const { api, organization, projectId } = await t.context.silo.signUp();
  const which = {
    organizationId: organization.id,
    etag: '',
    requestId: '',
    endDeletedProjects: true,
  };
  await refused(t, api.organizations.deleteOrganization(which), 'ORGANIZATION_NOT_EMPTY');
  await api.projects.deleteProject({ projectId, etag: '', requestId: '' });
  const { id } = await createProject(api, organization.id);
  t.is((await api.projects.getProject({ projectId: id })).project?.id, id);
});

test('a project created while its organization is deleted is either in it or refused', async (t) => {
  const { api } = await t.context.silo.signUp();
  for (let round = 0; round < 5; round++) {
    const { organizationId, projectId } = await createOrganization(api);
    await api.projects.deleteProject({ projectId, etag: '', requestId: '' });
    const [deleted, created] = await outcomes([
      api.organizations.deleteOrganization({
        organizationId,
        etag: '',
        requestId: '',
        endDeletedProjects: true,
      }),
      createProject(api, organizationId),
    ]);
    if (created === 'OK') t.is(deleted, 'ORGANIZATION_NOT_EMPTY');
    else t.deepEqual([deleted, created], ['OK', 'ORGANIZATION_NOT_FOUND']);
  }
});

test('of many concurrent deletions of an organization, one succeeds', async (t) => {
  const { api } = await t.context.silo.signUp();
  const { organizationId, projectId } = await createOrganization(api);
  await api.projects.deleteProject({ projectId, etag: '', requestId: '' });
  const which = { organizationId, etag: '', requestId: '', endDeletedProjects: true };
  const calls = Array.from({ length: 6 }, () => api.organizations.deleteOrganization(which));
  const all = await outcomes(calls);
  t.is(all.filter((each) => each === 'OK').length, 1, all.join());
  for (const each of all) t.regex(each, /^(OK|REQUEST_IN_PROGRESS|ORGANIZATION_NOT_FOUND)$/);
});
