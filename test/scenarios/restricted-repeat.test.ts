import test from 'ava';
import { createKey, upgrade } from '../authorization/world.ts';
import { startTestSilo } from '../harness/silo.ts';

test('a key restricted to a project may repeat what it did there, also the deletion', async (t) => {
  await using silo = await startTestSilo();
  const { api, organization, projectId } = await silo.signUp();
  await upgrade(api, organization.id);
  const { secret } = await createKey(api, { scopes: ['*'], projectIds: [projectId] });
  const restricted = silo.as(secret);
  const regenerate = { projectId, expectedFingerprint: '', requestId: 'regenerate' };
  const first = await restricted.projectTokens.regenerateProjectToken(regenerate);
  t.deepEqual(await restricted.projectTokens.regenerateProjectToken(regenerate), first);
  const remove = { projectId, etag: '', requestId: 'delete' };
  const deleted = await restricted.projects.deleteProject(remove);
  t.deepEqual(await restricted.projects.deleteProject(remove), deleted);
});

test('a key restricted to another project may not repeat what its account did', async (t) => {
  await using silo = await startTestSilo();
  const { api, organization, projectId } = await silo.signUp();
  await upgrade(api, organization.id);
  const other = await api.projects.createProject({
    organizationId: organization.id,
    name: 'Other',
    settings: undefined,
    requestId: '',
  });
  const { secret } = await createKey(api, {
    scopes: ['*'],
    projectIds: [other.project?.id ?? ''],
  });
  const remove = { projectId, etag: '', requestId: 'delete' };
  await api.projects.deleteProject(remove);
  await t.throwsAsync(silo.as(secret).projects.deleteProject(remove), { message: /project/i });
});
