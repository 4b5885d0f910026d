import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import test from 'ava';
import { startTestSilo } from '../harness/silo.ts';

test('signing up makes an account, an organization, a Default Project with a token, and a key', async (t) => {
  await using silo = await startTestSilo();
  const { api, account, organization, projectId, projectToken } = await silo.signUp('Ada');
  t.is((await api.accounts.getAccount({})).account?.id, account.id);
  const { project } = await api.projects.getProject({ projectId });
  t.is(project?.name, 'Default Project');
  t.is(project?.organizationId, organization.id);
  t.is(organization.level, Level.LEVEL_OWNER);
  const { answer } = await silo.internal().token.access.verifyToken({ token: projectToken });
  t.deepEqual(answer, {
    $case: 'facts',
    value: { projectId, organizationId: organization.id },
  });
});
