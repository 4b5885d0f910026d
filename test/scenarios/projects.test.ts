import { Plan } from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { Account } from '@silo/protos/gen/silo/org/v1/account_service.ts';
import { Organization } from '@silo/protos/gen/silo/org/v1/organization.ts';
import {
  Project,
  ProjectSettings,
  ProjectState,
} from '@silo/protos/gen/silo/project/v1/project.ts';
import { createKey, join } from '../authorization/world.ts';
import type { PublicApi } from '../harness/clients.ts';
import { outcomes, refused } from '../harness/refusals.ts';
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
const recommended = ['Local Development', 'Staging', 'Production'];
const dayMs = 24 * 60 * 60 * 1000;

type ProjectChange = Partial<Omit<Project, 'settings'>> & { settings?: Partial<ProjectSettings> };

function update(api: PublicApi, { settings, ...project }: ProjectChange, mask?: string[]) {
  return api.projects.updateProject({
    project: Project.fromPartial({
      ...project,
      settings: settings && ProjectSettings.fromPartial(settings),
    }),
    updateMask: mask,
    requestId: '',
  });
}

const remove = (api: PublicApi, projectId: string, etag = '') =>
  api.projects.deleteProject({ projectId, etag, requestId: '' });

const createRecommended = (api: PublicApi, organizationId: string) =>
  api.projects.createRecommendedProjects({ organizationId, requestId: '' });

async function search(api: PublicApi, query: string) {
  const { results } = await api.projects.searchProjects({ query, ...firstPage });
  return results;
}

test('members create projects if the organization allows it; otherwise admins do', async (t) => {
  const { silo } = t.context;
  const [owner, member] = [await silo.signUp('Owner'), await silo.signUp('Member')];
  const { id } = owner.organization;
  await join(owner, member, Level.LEVEL_MEMBER);
  await choosePlan(owner.api, id);
  await createProject(member.api, id);
  await owner.api.organizations.updateOrganization({
    organization: Organization.fromPartial({ id }),
    updateMask: ['members_may_create_projects'],
    requestId: '',
  });
  const { metadata } = await refused(t, createProject(member.api, id), 'ADMIN_REQUIRED');
  t.is(metadata.level, 'ADMIN');
  await refused(t, createRecommended(member.api, id), 'ADMIN_REQUIRED');
  await createProject(owner.api, id);
});

test('a new project has a token that stores events, and the given settings', async (t) => {
  const { silo } = t.context;
  const { api, organization } = await silo.signUp();
  await choosePlan(api, organization.id);
  const settings = ProjectSettings.fromPartial({
    timeZone: 'Europe/Berlin',
    appUrls: ['https://app.example.com'],
    anonymizeIps: true,
  });
  const { project, projectToken } = await api.projects.createProject({
    organizationId: organization.id,
    name: 'Production',
    settings,
    requestId: '',
  });
  t.deepEqual(project?.settings, settings);
  const { answer } = await silo.internal().token.access.verifyToken({ token: projectToken });
  t.like(answer, { $case: 'facts', value: { projectId: project?.id } });
});

test('an organization cannot exceed its plan’s number of projects, and the refusal has the counts and the next step', async (t) => {
  const { api, organization } = await t.context.silo.signUp();
  const { id } = organization;
  const refusal = await refused(t, createProject(api, id), 'PROJECT_LIMIT');
  t.deepEqual(refusal.metadata, { limit: '1', count: '1', organization_id: id });
  t.is(refusal.details.quotaFailure?.[0]?.subject, id);
  t.regex(refusal.message, /delete a project there, or upgrade/i);
});

test('however many creates race, the limit holds', async (t) => {
  const { api, organization } = await t.context.silo.signUp();
  await choosePlan(api, organization.id);
  const calls = Array.from({ length: 12 }, () => createProject(api, organization.id));
  const all = await outcomes(calls);
  t.is(all.filter((each) => each === 'OK').length, 5);
  t.is(all.filter((each) => each === 'PROJECT_LIMIT').length, 7);
  t.is((await projectNames(api, organization.id)).length, 6);
});

test('the recommended projects are the missing ones of the three', async (t) => {
  const { api, organization } = await t.context.silo.signUp();
  const { id } = organization;
  await choosePlan(api, id);
  await createProject(api, id, { name: 'Staging' });
  const { projects } = await createRecommended(api, id);
  t.deepEqual(
    projects.map(({ project }) => project?.name),
    ['Local Development', 'Production'],
  );
  for (const { projectToken } of projects) t.regex(projectToken, /^phc_/);
  t.deepEqual(await createRecommended(api, id), { projects: [] });
  t.deepEqual(await projectNames(api, id), [
    ...['Default Project', 'Staging'],
    ...['Local Development', 'Production'],
  ]);
});

test('the recommended projects are created all or none', async (t) => {
  const { api, organization } = await t.context.silo.signUp();
  const { id } = organization;
  await refused(t, createRecommended(api, id), 'PROJECT_LIMIT');
  await choosePlan(api, id);
  for (const name of ['A', 'B', 'C']) await createProject(api, id, { name });
  await refused(t, createRecommended(api, id), 'PROJECT_LIMIT');
  t.deepEqual(await projectNames(api, id), ['Default Project', 'A', 'B', 'C']);
});

test('two concurrent requests create the recommended projects once', async (t) => {
  const { api, organization } = await t.context.silo.signUp();
  await choosePlan(api, organization.id, Plan.PLAN_SCALE);
  const twice = [createRecommended(api, organization.id), createRecommended(api, organization.id)];
  t.deepEqual(await outcomes(twice), ['OK', 'OK']);
  const names = await projectNames(api, organization.id);
  t.deepEqual(names.sort(), ['Default Project', ...recommended].sort());
});

test('an update changes only the fields of its mask', async (t) => {
  const { api, projectId: id } = await t.context.silo.signUp();
  const settings = {
    ...{ timeZone: 'Asia/Tokyo', appUrls: ['https://a.example'] },
    ...{ anonymizeIps: true, retentionDays: 30, indexedProperties: ['plan'] },
  };
  const { project: named } = await update(api, { id, name: 'Renamed', settings }, ['name']);
  t.is(named?.name, 'Renamed');
  t.deepEqual(named?.settings, ProjectSettings.fromPartial({ timeZone: 'UTC' }));
  const { project: zoned } = await update(api, { id, settings }, ['settings.time_zone']);
  t.deepEqual(zoned?.settings, ProjectSettings.fromPartial({ timeZone: 'Asia/Tokyo' }));
  const { project: unmasked } = await update(api, { id, settings: { anonymizeIps: true } });
  t.deepEqual(
    unmasked?.settings,
    ProjectSettings.fromPartial({ timeZone: 'Asia/Tokyo', anonymizeIps: true }),
  );
  const { project: whole } = await update(api, { id, settings }, ['settings']);
  t.deepEqual(whole?.settings, settings);
  t.is(whole?.name, 'Renamed');
});

test('an update of unknown fields, an unknown time zone or to an empty name is refused', async (t) => {
  const { api, projectId: id } = await t.context.silo.signUp();
  const before = await api.projects.getProject({ projectId: id });
  const fieldsOf = async (call: Promise<unknown>) =>
    (await refused(t, call, 'INVALID_FIELD')).details.badRequest?.map(({ field }) => field);
  t.deepEqual(await fieldsOf(update(api, { id, name: 'x' }, ['state'])), ['update_mask']);
  const inSettings = update(api, { id, settings: {} }, ['settings.colour']);
  t.deepEqual(await fieldsOf(inSettings), ['update_mask']);
  t.deepEqual(await fieldsOf(update(api, { id }, ['name'])), ['project.name']);
  const nowhere = update(api, { id, settings: { timeZone: 'Atlantis/Centre' } });
  t.deepEqual(await fieldsOf(nowhere), ['project.settings.time_zone']);
  t.deepEqual(await api.projects.getProject({ projectId: id }), before);
});

test('a project is not changed or deleted if its etag is out of date', async (t) => {
  const { api, projectId: id } = await t.context.silo.signUp();
  const { etag } = present((await api.projects.getProject({ projectId: id })).project);
  await update(api, { id, name: 'First', etag });
  await refused(t, update(api, { id, name: 'Second', etag }), 'ETAG_MISMATCH');
  await refused(t, remove(api, id, etag), 'ETAG_MISMATCH');
  t.is((await api.projects.getProject({ projectId: id })).project?.name, 'First');
});

test('members read projects; only admins change and delete them', async (t) => {
  const { silo } = t.context;
  const [owner, member] = [await silo.signUp('Owner'), await silo.signUp('Member')];
  await join(owner, member, Level.LEVEL_MEMBER);
  const { projectId: id } = owner;
  t.is((await member.api.projects.getProject({ projectId: id })).project?.id, id);
  await refused(t, update(member.api, { id, name: 'Mine' }), 'ADMIN_REQUIRED');
  await refused(t, remove(member.api, id), 'ADMIN_REQUIRED');
});

test('a deletion ends all access, frees the slot at once, and purges after seven days', async (t) => {
  const { silo } = t.context;
  const { api, organization, projectId, projectToken } = await silo.signUp();
  const { project } = await remove(api, projectId);
  t.is(project?.state, ProjectState.PROJECT_STATE_DELETED);
  const purge = present(project?.purgeTime).getTime() - present(project?.updateTime).getTime();
  t.is(purge, 7 * dayMs);
  await refused(t, api.projects.getProject({ projectId }), 'PROJECT_NOT_FOUND');
  await refused(t, api.projectTokens.getProjectToken({ projectId }), 'PROJECT_NOT_FOUND');
  await refused(t, remove(api, projectId), 'PROJECT_NOT_FOUND');
  const { answer } = await silo.internal().token.access.verifyToken({ token: projectToken });
  t.is(answer?.$case, 'refusal');
  t.deepEqual(await projectNames(api, organization.id), []);
  await createProject(api, organization.id, { name: 'Next' });
  t.deepEqual(await projectNames(api, organization.id), ['Next']);
});

test('of many concurrent deletions of a project, one succeeds, and it frees one slot', async (t) => {
  const { api, organization, projectId } = await t.context.silo.signUp();
  await choosePlan(api, organization.id);
  await createProject(api, organization.id);
  const all = await outcomes(Array.from({ length: 6 }, () => remove(api, projectId)));
  t.is(all.filter((each) => each === 'OK').length, 1);
  for (const each of all) t.regex(each, /^(OK|PROJECT_NOT_ACTIVE|PROJECT_NOT_FOUND)$/);
  const { subscription } = await api.billing.getSubscription({ organizationId: organization.id });
  t.is(subscription?.projectCount, 1);
});

test('projects are listed oldest first, page by page, each once', async (t) => {
  const { api, organization } = await t.context.silo.signUp();
  const { id: organizationId } = organization;
  await choosePlan(api, organizationId);
  for (const name of ['Z', 'A', 'M']) await createProject(api, organizationId, { name });
  const names: string[] = [];
  let pageToken = '';
  do {
    const page = await api.projects.listProjects({
      ...{ organizationId, showDeleted: false, pageSize: 3, pageToken },
    });
    names.push(...page.projects.map(({ name }) => name));
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  t.deepEqual(names, ['Default Project', 'Z', 'A', 'M']);
});

test('admins list deleted projects too, until they are purged', async (t) => {
  const { silo } = t.context;
  const [ada, bob] = [await silo.signUp('Ada'), await silo.signUp('Bob')];
  const { id: organizationId } = ada.organization;
  await join(ada, bob, Level.LEVEL_MEMBER);
  await choosePlan(ada.api, organizationId);
  const { id: projectId } = await createProject(ada.api, organizationId, { name: 'Gone' });
  const deleted = await ada.api.projects.deleteProject({ projectId, etag: '', requestId: '' });
  const list = async (api: PublicApi, showDeleted: boolean) =>
    (await api.projects.listProjects({ organizationId, showDeleted, ...firstPage })).projects;
  t.deepEqual(
    (await list(ada.api, false)).map(({ name }) => name),
    ['Default Project'],
  );
  const [, listed] = await list(ada.api, true);
  t.deepEqual(listed, deleted.project);
  t.truthy(listed?.purgeTime);
  t.is((await list(bob.api, false)).length, 1);
  await refused(t, list(bob.api, true), 'ADMIN_REQUIRED');
});

test('the switcher finds projects by part of a name in any case, sorted by organization and project, and marks the current one', async (t) => {
  const { api, organization, projectId } = await t.context.silo.signUp('Zed');
  await choosePlan(api, organization.id);
  await createProject(api, organization.id, { name: 'Beta shop' });
  const { organizationId } = await createOrganization(api, 'Alpha Works');
  await api.accounts.updateAccount({
    account: Account.fromPartial({ currentProjectId: projectId }),
    updateMask: undefined,
    requestId: '',
  });
  const shown = (await search(api, '')).map(({ organizationName, project, current }) => [
    organizationName,
    project?.name,
    current,
  ]);
  t.deepEqual(shown, [
    ['Alpha Works', 'Default Project', false],
    ['Zed’s organization', 'Beta shop', false],
    ['Zed’s organization', 'Default Project', true],
  ]);
  t.deepEqual(
    (await search(api, 'SHOP')).map(({ project }) => project?.name),
    ['Beta shop'],
  );
  t.deepEqual(
    (await search(api, 'alpha')).map(({ project }) => project?.organizationId),
    [organizationId],
  );
  t.deepEqual(await search(api, 'no such thing (.*)'), []);
});

test('the switcher’s pages contain every project once', async (t) => {
  const { api, organization } = await t.context.silo.signUp();
  await choosePlan(api, organization.id);
  await createRecommended(api, organization.id);
  await createOrganization(api, 'Alpha');
  const found: string[] = [];
  let pageToken = '';
  do {
    const page = await api.projects.searchProjects({ query: '', pageSize: 2, pageToken });
    found.push(...page.results.map(({ project }) => present(project).id));
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  t.is(found.length, 5);
  t.is(new Set(found).size, 5);
});

test('an account finds no project of others, nor one outside of its key’s restriction', async (t) => {
  const { silo } = t.context;
  const [ada, bob] = [await silo.signUp('Ada'), await silo.signUp('Bob')];
  t.deepEqual(await search(bob.api, 'Ada'), []);
  await choosePlan(ada.api, ada.organization.id);
  const second = await createProject(ada.api, ada.organization.id, { name: 'Second' });
  const { secret } = await createKey(ada.api, { scopes: ['*'], projectIds: [second.id] });
  const reached = (await search(silo.as(secret), '')).map(({ project }) => project?.id);
  t.deepEqual(reached, [second.id]);
});
