import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { Member, Organization } from '@silo/protos/gen/silo/org/v1/organization.ts';
import { Project } from '@silo/protos/gen/silo/project/v1/project.ts';
import { join } from '../authorization/world.ts';
import type { PublicApi } from '../harness/clients.ts';
import { refused } from '../harness/refusals.ts';
import {
  billingDetails,
  choosePlan,
  createOrganization,
  createProject,
  firstPage,
  moveProject,
  present,
  scenarios,
} from './support.ts';

const test = scenarios();
const updateMask = undefined;

async function activityOf({ activity }: PublicApi, organizationId: string) {
  return (await activity.listActivity({ organizationId, projectId: '', ...firstPage })).entries;
}

async function activityOfProject({ activity }: PublicApi, projectId: string) {
  return (await activity.listActivity({ organizationId: '', projectId, ...firstPage })).entries;
}

test('both organizations see a move, under one move id', async (t) => {
  const { api, account, organization } = await t.context.silo.signUp();
  await choosePlan(api, organization.id);
  const { id: projectId } = await createProject(api, organization.id);
  const { organizationId } = await createOrganization(api);
  await choosePlan(api, organizationId);
  const { move } = await moveProject(api, projectId, organizationId);
  const [inSource] = await activityOf(api, organization.id);
  const [inDestination] = await activityOf(api, organizationId);
  t.like(inSource, {
    type: 'project.moved',
    actor: account.id,
    projectId,
    moveId: present(move).id,
    changes: [{ field: 'organization_id', from: organization.id, to: organizationId }],
  });
  t.deepEqual(inDestination, inSource);
});

test('entries from before a move are not shown to the new organization, and stay with the old one', async (t) => {
  const { silo } = t.context;
  const [ada, bob] = [await silo.signUp('Ada'), await silo.signUp('Bob')];
  const source = ada.organization.id;
  await choosePlan(ada.api, source);
  const { id: projectId } = await createProject(ada.api, source, { name: 'Secret plan' });
  await join(bob, ada, Level.LEVEL_MEMBER);
  await choosePlan(bob.api, bob.organization.id);
  await moveProject(ada.api, projectId, bob.organization.id);
  const typesFor = async (api: PublicApi) =>
    (await activityOfProject(api, projectId)).map(({ type }) => type);
  t.deepEqual(await typesFor(bob.api), ['project.moved']);
  const kept = (await activityOf(ada.api, source)).filter((each) => each.projectId === projectId);
  t.deepEqual(
    kept.map(({ type }) => type).filter((type) => type.startsWith('project.')),
    ['project.moved', 'project.created'],
  );
});

test('every answered change is in the log at once, with actor, old and new values', async (t) => {
  const { silo } = t.context;
  const [ada, bob] = [await silo.signUp('Ada'), await silo.signUp('Bob')];
  const { api, projectId } = ada;
  const { id } = ada.organization;
  const newest = async () => present((await activityOf(api, id))[0]);
  const actor = ada.account.id;

  const renamed = Organization.fromPartial({ id, name: 'Renamed' });
  await api.organizations.updateOrganization({ organization: renamed, updateMask, requestId: '' });
  t.like(await newest(), {
    type: 'org.organization_updated',
    actor,
    changes: [{ field: 'name', from: ada.organization.name, to: 'Renamed' }],
  });

  const project = Project.fromPartial({ id: projectId, name: 'Production' });
  await api.projects.updateProject({ project, updateMask, requestId: '' });
  t.like(await newest(), {
    type: 'project.updated',
    actor,
    projectId,
    changes: [{ field: 'name', from: 'Default Project', to: 'Production' }],
  });

  const before = await api.projectTokens.getProjectToken({ projectId });
  const expectedFingerprint = present(before.projectToken).fingerprint;
  const regeneration = { projectId, expectedFingerprint, requestId: '' };
  const after = await api.projectTokens.regenerateProjectToken(regeneration);
  const revoked = (await activityOf(api, id)).find(({ type }) => type === 'token.revoked');
  t.like(revoked, { actor, projectId });
  t.true(JSON.stringify(revoked).includes(present(after.projectToken).fingerprint));

  await join(ada, bob, Level.LEVEL_MEMBER);
  const joined = (await activityOf(api, id)).slice(0, 2).map(({ type }) => type);
  t.deepEqual(joined.sort(), ['org.invite_accepted', 'org.member_added']);
  const which = { organizationId: id, accountId: bob.account.id };
  const member = Member.fromPartial({ ...which, level: Level.LEVEL_ADMIN });
  await api.organizations.updateMember({ member, updateMask, requestId: '' });
  t.like(await newest(), {
    type: 'org.member_updated',
    actor,
    subjectId: bob.account.id,
    changes: [{ field: 'level', from: 'LEVEL_MEMBER', to: 'LEVEL_ADMIN' }],
  });

  const unconditional = { organizationId: id, etag: '', requestId: '' };
  await api.billing.updateBillingDetails({ ...unconditional, billingDetails });
  t.like(await newest(), { type: 'billing.billing_details_updated', actor });
  t.false(
    JSON.stringify(await newest()).includes(billingDetails.companyName),
    'that they changed, not their values',
  );
});

test('an organization’s log begins with its creation, with each entry once', async (t) => {
  const { api, organization, account } = await t.context.silo.signUp();
  const entries = await activityOf(api, organization.id);
  t.deepEqual(entries.map(({ type }) => type).sort(), [
    'billing.subscription_created',
    'org.account_created',
    'org.member_added',
    'org.organization_created',
    'project.created',
    'project.slots_changed',
  ]);
  t.is(new Set(entries.map(({ id }) => id)).size, entries.length);
  for (const { actor, type } of entries) t.is(actor, account.id, type);
});

test('an account cannot see the activity of an organization of which it is not a member', async (t) => {
  const { silo } = t.context;
  const [ada, eve] = [await silo.signUp('Ada'), await silo.signUp('Eve')];
  await refused(t, activityOf(eve.api, ada.organization.id), 'ORGANIZATION_NOT_FOUND');
  await refused(t, activityOfProject(eve.api, ada.projectId), 'PROJECT_NOT_FOUND');
  const own = JSON.stringify(await activityOf(eve.api, eve.organization.id));
  t.false(own.includes(ada.account.id) || own.includes(ada.organization.id));
});

test('an organization’s log does not contain what its member does in another organization', async (t) => {
  const { api, organization } = await t.context.silo.signUp();
  const before = await activityOf(api, organization.id);
  await createOrganization(api, 'Elsewhere');
  t.deepEqual(await activityOf(api, organization.id), before);
});

test('activity is listed newest first, and its pages contain each entry once', async (t) => {
  const { api, organization } = await t.context.silo.signUp();
  const { id: organizationId } = organization;
  await choosePlan(api, organizationId);
  const whole = await activityOf(api, organizationId);
  const paged: string[] = [];
  let pageToken = '';
  do {
    const page = { organizationId, projectId: '', pageSize: 3, pageToken };
    const answer = await api.activity.listActivity(page);
    paged.push(...answer.entries.map(({ id }) => id));
    pageToken = answer.nextPageToken;
  } while (pageToken !== '');
  t.deepEqual(
    paged,
    whole.map(({ id }) => id),
  );
  const times = whole.map(({ time }) => present(time).getTime());
  t.deepEqual(
    times,
    times.toSorted((a, b) => b - a),
  );
});

test('activity is listed by organization or by project, not by both or neither', async (t) => {
  const { api, organization, projectId } = await t.context.silo.signUp();
  const both = { organizationId: organization.id, projectId, ...firstPage };
  await refused(t, api.activity.listActivity(both), 'INVALID_FIELD');
  const neither = { organizationId: '', projectId: '', ...firstPage };
  await refused(t, api.activity.listActivity(neither), 'INVALID_FIELD');
});
