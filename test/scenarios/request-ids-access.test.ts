/** Who may repeat a request with its id, and so gets its answer. */
import { randomUUID } from 'node:crypto';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { Member } from '@silo/protos/gen/silo/org/v1/organization.ts';
import { createKey, join, keyMessage } from '../authorization/world.ts';
import { withoutPropagation } from '../harness/clients.ts';
import { outcomes, refused } from '../harness/refusals.ts';
import {
  choosePlan,
  createOrganization,
  createProject,
  moveProject,
  scenarios,
} from './support.ts';

const test = scenarios();
const { LEVEL_ADMIN, LEVEL_MEMBER } = Level;

test('a key that rolled, disabled or deleted itself may retry that request, and nothing else', async (t) => {
  const { silo } = t.context;
  const ada = await silo.signUp();
  for (const way of ['rollApiKey', 'disableApiKey', 'deleteApiKey'] as const) {
    const { apiKey, secret } = await createKey(ada.api, { scopes: ['*'] });
    const { apiKeys, accounts } = silo.as(secret);
    const request = { keyId: apiKey.id, overlap: undefined, etag: '', requestId: randomUUID() };
    const first = await apiKeys[way](request);
    t.deepEqual(withoutPropagation(await apiKeys[way](request)), withoutPropagation(first), way);
    await refused(t, accounts.getAccount({}), 'TOKEN_INVALID');
    const fresh = { ...request, requestId: randomUUID() };
    await refused(t, apiKeys[way](fresh), 'TOKEN_INVALID');
  }
});

test('a caller that another account removed may not retry its earlier requests', async (t) => {
  const { silo } = t.context;
  const [ada, bob] = [await silo.signUp('Ada'), await silo.signUp('Bob')];
  const organizationId = ada.organization.id;
  const accountId = bob.account.id;
  await join(ada, bob, LEVEL_ADMIN);
  await choosePlan(ada.api, organizationId);
  await choosePlan(bob.api, bob.organization.id);
  const requestId = randomUUID();
  const create = () => createProject(bob.api, organizationId, { requestId });
  const { id } = await create();
  const move = () => moveProject(bob.api, id, bob.organization.id, requestId);
  await move();
  await move();
  const lower = Member.fromPartial({ organizationId, accountId, level: LEVEL_MEMBER });
  await ada.api.organizations.updateMember({ member: lower, updateMask: undefined, requestId: '' });
  await refused(t, move(), 'ADMIN_REQUIRED');
  const removal = { organizationId, accountId, etag: '', requestId: '' };
  await ada.api.organizations.removeMember(removal);
  await refused(t, create(), 'ORGANIZATION_NOT_FOUND');
  await refused(t, move(), 'PROJECT_NOT_FOUND');
});

test('a weaker key of the account gets no secret by repeating the request of a stronger one', async (t) => {
  const { silo } = t.context;
  const ada = await silo.signUp();
  const request = {
    apiKey: keyMessage({ name: 'all', scopes: ['*'] }),
    requestId: randomUUID(),
  };
  const first = await ada.api.apiKeys.createApiKey(request);
  const weaker = async (wanted: Parameters<typeof createKey>[1]) => {
    const { secret } = await createKey(ada.api, wanted);
    return silo.as(secret).apiKeys.createApiKey(request);
  };
  await refused(t, weaker({ scopes: ['project:read'] }), 'SCOPE_REQUIRED');
  await refused(t, weaker({ scopes: ['*'], projectIds: [ada.projectId] }), 'KEY_RESTRICTED');
  await refused(t, weaker({ scopes: ['key:write'] }), 'KEY_EXCEEDS_CALLER');
  const expireTime = new Date(Date.now() + 3_600_000);
  await refused(t, weaker({ scopes: ['*'], expireTime }), 'KEY_EXCEEDS_CALLER');
  t.is((await ada.api.apiKeys.createApiKey(request)).secret, first.secret);
  // The repeat may also run at the same time as the call itself.
  const { secret: narrow } = await createKey(ada.api, { scopes: ['key:write'] });
  const raced = { ...request, requestId: randomUUID() };
  const rivals = Array.from({ length: 5 }, () => silo.as(narrow).apiKeys.createApiKey(raced));
  const made = ada.api.apiKeys.createApiKey(raced);
  t.deepEqual(new Set(await outcomes(rivals)), new Set(['KEY_EXCEEDS_CALLER']));
  t.truthy((await made).secret);
});

test('a key that had deleted itself repeats nothing else that its account did', async (t) => {
  const { silo } = t.context;
  const ada = await silo.signUp();
  const request = { apiKey: keyMessage({ name: 'x', scopes: ['*'] }), requestId: randomUUID() };
  await ada.api.apiKeys.createApiKey(request);
  const { apiKey, secret } = await createKey(ada.api, { scopes: ['*'] });
  const deletion = { keyId: apiKey.id, etag: '', requestId: randomUUID() };
  await silo.as(secret).apiKeys.deleteApiKey(deletion);
  await refused(t, silo.as(secret).apiKeys.createApiKey(request), 'TOKEN_INVALID');
  t.deepEqual(withoutPropagation(await silo.as(secret).apiKeys.deleteApiKey(deletion)), {
    propagation: undefined,
  });
});

test('a key that gave up its own right to change keys may repeat that request, until another key ends it', async (t) => {
  const { silo } = t.context;
  const ada = await silo.signUp();
  const { apiKey, secret } = await createKey(ada.api, { scopes: ['*'] });
  const { apiKeys } = silo.as(secret);
  const narrowing = {
    apiKey: keyMessage({ id: apiKey.id, scopes: ['project:read'] }),
    updateMask: ['scopes'],
    requestId: randomUUID(),
  };
  const first = await apiKeys.updateApiKey(narrowing);
  t.deepEqual(withoutPropagation(await apiKeys.updateApiKey(narrowing)), withoutPropagation(first));
  await refused(t, apiKeys.updateApiKey({ ...narrowing, requestId: 'other' }), 'SCOPE_REQUIRED');
  await ada.api.apiKeys.deleteApiKey({ keyId: apiKey.id, etag: '', requestId: '' });
  await refused(t, apiKeys.updateApiKey(narrowing), 'TOKEN_INVALID');
});

test('a project’s token is returned to a retry only for members of the organization that owns it now', async (t) => {
  const { silo } = t.context;
  const [ada, bob] = [await silo.signUp('Ada'), await silo.signUp('Bob')];
  const organizationId = ada.organization.id;
  await join(ada, bob, LEVEL_MEMBER);
  await choosePlan(ada.api, organizationId);
  const requestId = randomUUID();
  const create = () =>
    bob.api.projects.createProject({ organizationId, name: 'x', settings: undefined, requestId });
  const { project, projectToken } = await create();
  const projectId = project?.id ?? '';
  const { organizationId: elsewhere } = await createOrganization(ada.api);
  await choosePlan(ada.api, elsewhere);
  await moveProject(ada.api, projectId, elsewhere);
  await refused(t, create(), 'PROJECT_NOT_FOUND');
  await join(ada, bob, LEVEL_MEMBER, elsewhere);
  t.is((await create()).projectToken, projectToken);
  await ada.api.projects.deleteProject({ projectId, etag: '', requestId: '' });
  t.is((await create()).projectToken, projectToken, 'even while it is deleted');
  const accountId = bob.account.id;
  const removal = { organizationId: elsewhere, accountId, etag: '', requestId: '' };
  await ada.api.organizations.removeMember(removal);
  await refused(t, create(), 'PROJECT_NOT_FOUND');
});

test('a project that has moved on is returned to a retry only for accounts with access to it in its new place', async (t) => {
  const { silo } = t.context;
  const [ada, bob] = [await silo.signUp('Ada'), await silo.signUp('Bob')];
  await join(bob, ada, LEVEL_MEMBER);
  await choosePlan(ada.api, ada.organization.id);
  await choosePlan(bob.api, bob.organization.id);
  const { id } = await createProject(ada.api, ada.organization.id);
  const move = () => moveProject(ada.api, id, bob.organization.id, 'move');
  await move();
  await move();
  const { organizationId: further } = await createOrganization(bob.api);
  await choosePlan(bob.api, further);
  await moveProject(bob.api, id, further);
  await refused(t, move(), 'PROJECT_NOT_FOUND');
});

test('a key restricted to a project may repeat what it did there, including the deletion', async (t) => {
  const { silo } = t.context;
  const { api, projectId } = await silo.signUp();
  const { secret } = await createKey(api, { scopes: ['*'], projectIds: [projectId] });
  const { projectTokens, projects } = silo.as(secret);
  const regeneration = { projectId, expectedFingerprint: '', requestId: 'regenerate' };
  const regenerated = await projectTokens.regenerateProjectToken(regeneration);
  const again = await projectTokens.regenerateProjectToken(regeneration);
  t.deepEqual(withoutPropagation(again), withoutPropagation(regenerated));
  const deletion = { projectId, etag: '', requestId: 'delete' };
  const deleted = await projects.deleteProject(deletion);
  t.deepEqual(
    withoutPropagation(await projects.deleteProject(deletion)),
    withoutPropagation(deleted),
  );
});

test('a key restricted to another project may not repeat what its account did', async (t) => {
  const { silo } = t.context;
  const { api, organization, projectId } = await silo.signUp();
  await choosePlan(api, organization.id);
  const { id: other } = await createProject(api, organization.id);
  const { secret } = await createKey(api, { scopes: ['*'], projectIds: [other] });
  const deletion = { projectId, etag: '', requestId: 'delete' };
  await api.projects.deleteProject(deletion);
  await refused(t, silo.as(secret).projects.deleteProject(deletion), 'PROJECT_NOT_FOUND');
});
