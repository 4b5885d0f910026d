import { randomUUID } from 'node:crypto';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { newId } from '@silo/tokens/ids.ts';
import { newInviteCode } from '@silo/tokens/secrets.ts';
import { createKey, join } from '../authorization/world.ts';
import {
  currentProject,
  hideThings,
  ofAccounts,
  ofDeletedProjects,
  ofDestinations,
  ofEventDeletions,
  ofInvites,
  ofKeys,
  ofMoves,
  ofOrganizations,
  ofOrganizationsBesides,
  ofProjects,
  ofProjectsBesides,
} from '../harness/id-requests.ts';
import { noFilter } from './event-requests.ts';
import { sameReads } from './same-reads.ts';
import { received, sameRefusal } from './same-refusal.ts';
import {
  choosePlan,
  createOrganization,
  createProject,
  moveProject,
  present,
  scenarios,
} from './support.ts';

const test = scenarios();

const rest = { etag: '', requestId: '' };

const absentOrganization = () => newId('org_us');
const absentProject = () => newId('prj');

test('to a caller who is not a member, an organization looks like one that does not exist', async (t) => {
  const { silo } = t.context;
  const [ada, eve] = [await silo.signUp('Ada'), await silo.signUp('Eve')];
  await sameRefusal(
    t,
    { ...ofOrganizations, ...ofOrganizationsBesides },
    {
      api: eve.api,
      own: eve,
      hidden: ada.organization.id,
      absent: absentOrganization,
      reason: 'ORGANIZATION_NOT_FOUND',
    },
  );
});

test('a project of an organization without the caller looks like one that does not exist', async (t) => {
  const { silo } = t.context;
  const [ada, eve] = [await silo.signUp('Ada'), await silo.signUp('Eve')];
  await sameRefusal(
    t,
    { ...ofProjects, ...ofDeletedProjects, ...ofProjectsBesides, ...currentProject },
    {
      api: eve.api,
      own: eve,
      hidden: ada.projectId,
      absent: absentProject,
      reason: 'PROJECT_NOT_FOUND',
    },
  );
});

test('another account’s key looks like one that does not exist', async (t) => {
  const { silo } = t.context;
  const [ada, eve] = [await silo.signUp('Ada'), await silo.signUp('Eve')];
  await sameRefusal(t, ofKeys, {
    api: eve.api,
    own: eve,
    hidden: ada.apiKeyId,
    absent: () => newId('key'),
    reason: 'KEY_NOT_FOUND',
  });
});

test('a move between organizations without the caller looks like one that does not exist', async (t) => {
  const { silo } = t.context;
  const [ada, eve] = [await silo.signUp('Ada'), await silo.signUp('Eve')];
  await choosePlan(ada.api, ada.organization.id);
  const { id } = await createProject(ada.api, ada.organization.id);
  const { organizationId } = await createOrganization(ada.api);
  await choosePlan(ada.api, organizationId);
  const hidden = present((await moveProject(ada.api, id, organizationId)).move).id;
  const { secret } = await createKey(ada.api, { scopes: ['*'], projectIds: [ada.projectId] });
  for (const own of [eve, { ...ada, api: silo.as(secret) }]) {
    await sameRefusal(t, ofMoves, {
      ...{ api: own.api, own, hidden, absent: () => newId('mov') },
      reason: 'MOVE_NOT_FOUND',
    });
  }
});

test('to a restricted key, things outside of its restriction look as if they did not exist', async (t) => {
  const { silo } = t.context;
  const ada = await silo.signUp('Ada');
  const { organizationId } = await createOrganization(ada.api);
  const { secret } = await createKey(ada.api, { scopes: ['*'], organizationIds: [organizationId] });
  const own = { ...ada, organization: { ...ada.organization, id: organizationId } };
  const api = silo.as(secret);
  await sameRefusal(
    t,
    { ...ofOrganizations, ...ofOrganizationsBesides },
    {
      ...{ api, own, hidden: ada.organization.id, absent: absentOrganization },
      reason: 'ORGANIZATION_NOT_FOUND',
    },
  );
  await sameRefusal(
    t,
    { ...ofProjects, ...ofProjectsBesides },
    {
      ...{ api, own, hidden: ada.projectId, absent: absentProject },
      reason: 'PROJECT_NOT_FOUND',
    },
  );
  await sameRefusal(t, ofKeys, {
    ...{ api, own, hidden: ada.apiKeyId, absent: () => newId('key') },
    reason: 'KEY_NOT_FOUND',
  });
});

test('a deleted thing looks, even to its last owner, as if it had never existed', async (t) => {
  const { silo } = t.context;
  const ada = await silo.signUp('Ada');
  const { organizationId, projectId } = await createOrganization(ada.api);
  await ada.api.projects.deleteProject({ projectId, ...rest });
  await ada.api.organizations.deleteOrganization({
    organizationId,
    endDeletedProjects: true,
    ...rest,
  });
  const { apiKey } = await createKey(ada.api, { scopes: ['*'] });
  await ada.api.apiKeys.deleteApiKey({ keyId: apiKey.id, ...rest });
  const { api } = ada;
  await sameRefusal(t, ofOrganizations, {
    ...{ api, own: ada, hidden: organizationId, absent: absentOrganization },
    reason: 'ORGANIZATION_NOT_FOUND',
  });
  await sameRefusal(
    t,
    { ...ofProjects, ...ofProjectsBesides, ...currentProject },
    {
      ...{ api, own: ada, hidden: projectId, absent: absentProject },
      reason: 'PROJECT_NOT_FOUND',
    },
  );
  await sameRefusal(t, ofKeys, {
    ...{ api, own: ada, hidden: apiKey.id, absent: () => newId('key') },
    reason: 'KEY_NOT_FOUND',
  });
});

test('an account that exists but is not a member looks like one that does not exist', async (t) => {
  const { silo } = t.context;
  const [ada, eve] = [await silo.signUp('Ada'), await silo.signUp('Eve')];
  await sameRefusal(t, ofAccounts, {
    ...{ api: eve.api, own: eve, hidden: ada.account.id, absent: () => newId('acc') },
    reason: 'MEMBER_NOT_FOUND',
  });
});

test('another organization’s invite, or a code for somebody else, looks as if it did not exist', async (t) => {
  const { silo } = t.context;
  const [ada, eve] = [await silo.signUp('Ada'), await silo.signUp('Eve')];
  const { invite, code } = await ada.api.organizations.inviteMember({
    organizationId: ada.organization.id,
    email: 'somebody@example.com',
    level: Level.LEVEL_MEMBER,
    requestId: randomUUID(),
  });
  const { organizations } = eve.api;
  await sameRefusal(t, ofInvites, {
    ...{ api: eve.api, own: eve, hidden: present(invite).id, absent: () => newId('inv') },
    reason: 'INVITE_NOT_FOUND',
  });
  const accept = (code: string) =>
    received(organizations.acceptInvite({ code, requestId: '' }), code);
  t.deepEqual(await accept(code), await accept(newInviteCode()));
});

test('a deletion of another project’s events looks like one that does not exist', async (t) => {
  const { silo } = t.context;
  const [ada, eve] = [await silo.signUp('Ada'), await silo.signUp('Eve')];
  const { projectId } = ada;
  const { deletion } = await ada.api.events.deleteEvents({
    ...{ projectId, filter: noFilter, requestId: '' },
  });
  await sameRefusal(t, ofEventDeletions, {
    ...{ api: eve.api, own: eve, hidden: present(deletion).id, absent: () => newId('evd') },
    reason: 'EVENT_DELETION_NOT_FOUND',
  });
});

test('a destination without the caller looks like one that does not exist, full or not', async (t) => {
  const { silo } = t.context;
  const [ada, eve] = [await silo.signUp('Ada'), await silo.signUp('Eve')];
  await choosePlan(eve.api, eve.organization.id);
  await createProject(eve.api, eve.organization.id);
  await sameRefusal(t, ofDestinations, {
    ...{ api: eve.api, own: eve, hidden: ada.organization.id, absent: absentOrganization },
    reason: 'ORGANIZATION_NOT_FOUND',
  });
});

test('a former member gets the same errors as an account that never was a member', async (t) => {
  const { silo } = t.context;
  const [ada, bob] = [await silo.signUp('Ada'), await silo.signUp('Bob')];
  const organizationId = ada.organization.id;
  await join(ada, bob, Level.LEVEL_ADMIN);
  await bob.api.organizations.leaveOrganization({ organizationId, requestId: '' });
  const { api } = bob;
  await sameRefusal(t, ofOrganizations, {
    ...{ api, own: bob, hidden: organizationId, absent: absentOrganization },
    reason: 'ORGANIZATION_NOT_FOUND',
  });
  await sameRefusal(
    t,
    { ...ofProjects, ...ofProjectsBesides, ...currentProject },
    {
      ...{ api, own: bob, hidden: ada.projectId, absent: absentProject },
      reason: 'PROJECT_NOT_FOUND',
    },
  );
});

test('a check of a hidden thing makes the same reads as one of an absent thing, even if its owner has just used it', async (t) => {
  const { silo } = t.context;
  const [ada, eve] = [await silo.signUp('Ada'), await silo.signUp('Eve')];
  const { things, use } = await hideThings(ada);
  // With a request id, which a steady client adds, the service first looks for an earlier call.
  for (const api of [silo.once(eve.apiKey), eve.api]) {
    for (const thing of things) await sameReads(t, thing, { api, own: eve, use }, [silo]);
  }
});
