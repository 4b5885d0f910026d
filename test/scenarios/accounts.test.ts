import { randomUUID } from 'node:crypto';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { Account } from '@silo/protos/gen/silo/org/v1/account_service.ts';
import { ProjectState } from '@silo/protos/gen/silo/project/v1/project.ts';
import { join } from '../authorization/world.ts';
import type { SignedUp } from '../harness/clients.ts';
import { outcomes, refused } from '../harness/refusals.ts';
import { startTestSilo } from '../harness/silo.ts';
import { createOrganization, present, scenarios } from './support.ts';

const test = scenarios();

const newcomer = (email = `${randomUUID()}@example.com`) => ({
  email,
  displayName: 'New',
  organizationName: 'New organization',
  requestId: randomUUID(),
});

type Gone = { ada: SignedUp; bob: SignedUp; projectId: string; organizationId: string };

test('a sign-up creates an account, an organization, a Default Project with a token, and a key', async (t) => {
  const { silo } = t.context;
  const ada = await silo.signUp('Ada');
  const { api, account, organization, projectId, projectToken } = ada;
  t.deepEqual((await api.accounts.getAccount({})).account, account);
  t.is(account.displayName, 'Ada');
  t.is(organization.level, Level.LEVEL_OWNER);
  t.true(organization.membersMayCreateProjects);
  t.regex(organization.id, /^org_us_[0-9a-z]{26}$/);
  const project = present((await api.projects.getProject({ projectId })).project);
  t.is(project.name, 'Default Project');
  t.is(project.organizationId, organization.id);
  t.is(project.state, ProjectState.PROJECT_STATE_ACTIVE);
  const { answer } = await silo.internal().token.access.verifyToken({ token: projectToken });
  t.deepEqual(answer, { $case: 'facts', value: { projectId, organizationId: organization.id } });
  const { apiKey } = await api.apiKeys.getApiKey({ keyId: ada.apiKeyId });
  t.deepEqual(apiKey?.scopes, ['*']);
});

test('every further organization gets its own Default Project and the free plan', async (t) => {
  const { api, organization } = await t.context.silo.signUp();
  const further = await createOrganization(api, 'Further');
  t.not(further.organizationId, organization.id);
  const { project } = await api.projects.getProject({ projectId: further.projectId });
  t.is(project?.name, 'Default Project');
  t.is(project?.organizationId, further.organizationId);
  t.regex(further.projectToken, /^phc_[0-9A-Za-z]{49}$/);
  const { subscription } = await api.billing.getSubscription(further);
  t.is(subscription?.projectLimit, 1);
  t.is(subscription?.projectCount, 1);
});

test('an e-mail belongs to only one account, in any case', async (t) => {
  const { silo } = t.context;
  const { account } = await silo.signUp('Taken');
  const again = silo.as().accounts.createAccount(newcomer(account.email.toUpperCase()));
  await refused(t, again, 'EMAIL_TAKEN');
});

test('of many concurrent sign-ups with one e-mail, one succeeds', async (t) => {
  const { accounts } = t.context.silo.as();
  const email = `${randomUUID()}@example.com`;
  const calls = Array.from({ length: 8 }, () => accounts.createAccount(newcomer(email)));
  const all = await outcomes(calls);
  t.is(all.filter((each) => each === 'OK').length, 1);
  t.is(all.filter((each) => each === 'EMAIL_TAKEN').length, 7);
});

test('an account changes its name, and fields that the mask does not name stay unchanged', async (t) => {
  const { api, account, projectId } = await t.context.silo.signUp();
  const wanted = Account.fromPartial({ displayName: 'Renamed', currentProjectId: projectId });
  const { account: renamed } = await api.accounts.updateAccount({
    account: wanted,
    updateMask: ['display_name'],
    requestId: '',
  });
  t.is(renamed?.displayName, 'Renamed');
  t.is(renamed?.currentProjectId, '');
  t.is(renamed?.email, account.email);
  t.not(renamed?.etag, account.etag);
  const { account: unmasked } = await api.accounts.updateAccount({
    account: Account.fromPartial({ currentProjectId: projectId }),
    updateMask: undefined,
    requestId: '',
  });
  t.is(unmasked?.displayName, 'Renamed', 'an empty field is not changed without a mask');
  t.is(unmasked?.currentProjectId, projectId);
});

test('an account is not changed if its etag is out of date', async (t) => {
  const { api, account } = await t.context.silo.signUp();
  const update = (displayName: string) =>
    api.accounts.updateAccount({
      account: Account.fromPartial({ displayName, etag: account.etag }),
      updateMask: undefined,
      requestId: '',
    });
  await update('First');
  await refused(t, update('Second'), 'ETAG_MISMATCH');
  t.is((await api.accounts.getAccount({})).account?.displayName, 'First');
});

test('an account cannot choose a project that it may not read', async (t) => {
  const { silo } = t.context;
  const [ada, bob] = [await silo.signUp('Ada'), await silo.signUp('Bob')];
  const choose = bob.api.accounts.updateAccount({
    account: Account.fromPartial({ currentProjectId: ada.projectId }),
    updateMask: ['current_project_id'],
    requestId: '',
  });
  await refused(t, choose, 'PROJECT_NOT_FOUND');
});

for (const [how, take, giveBack] of [
  [
    'was deleted',
    ({ ada, projectId }: Gone) =>
      ada.api.projects.deleteProject({ projectId, etag: '', requestId: '' }),
    ({ ada, projectId }: Gone) => ada.api.projects.undeleteProject({ projectId, requestId: '' }),
  ],
  [
    'is out of reach',
    ({ ada, bob, organizationId }: Gone) =>
      ada.api.organizations.removeMember({
        ...{ organizationId, accountId: bob.account.id, etag: '', requestId: '' },
      }),
    ({ ada, bob }: Gone) => join(ada, bob, Level.LEVEL_MEMBER),
  ],
] as const) {
  test(`a current project that ${how} is returned as empty, and the account can be written back unchanged`, async (t) => {
    const { silo } = t.context;
    const [ada, bob] = [await silo.signUp('Ada'), await silo.signUp('Bob')];
    const { projectId } = ada;
    const gone = { ada, bob, projectId, organizationId: ada.organization.id };
    await join(ada, bob, Level.LEVEL_MEMBER);
    const update = async (account: Account, updateMask?: string[]) =>
      present(
        (await bob.api.accounts.updateAccount({ account, updateMask, requestId: '' })).account,
      );
    const get = async () => present((await bob.api.accounts.getAccount({})).account);
    await update(Account.fromPartial({ currentProjectId: projectId }));
    const seen = await get();
    t.is(seen.currentProjectId, projectId);
    await take(gone);
    t.is((await get()).currentProjectId, '');
    const renamed = await update({ ...seen, displayName: 'Robert', etag: '' });
    t.like(renamed, { displayName: 'Robert', currentProjectId: '' });
    const all = ['display_name', 'current_project_id'];
    t.is((await update({ ...seen, displayName: 'Bob', etag: '' }, all)).displayName, 'Bob');
    await giveBack(gone);
    t.is((await get()).currentProjectId, projectId, 'a project that comes back is current again');
    await take(gone);
    await update({ ...(await get()), displayName: 'Rob' }, all);
    await giveBack(gone);
    t.is((await get()).currentProjectId, '', 'an empty value that was written back stays');
  });
}

test('staff changes an e-mail, but not to one that is taken', async (t) => {
  const { silo } = t.context;
  const { staff } = silo.internal().org;
  const [ada, bob] = [await silo.signUp('Ada'), await silo.signUp('Bob')];
  const accountId = ada.account.id;
  const taken = staff.changeEmail({ accountId, email: bob.account.email, requestId: '' });
  await refused(t, taken, 'EMAIL_TAKEN');
  const email = `${randomUUID()}@example.com`;
  await staff.changeEmail({ accountId, email, requestId: '' });
  t.is((await ada.api.accounts.getAccount({})).account?.email, email);
  const nobody = `acc_${'0'.repeat(26)}`;
  const absent = staff.changeEmail({ accountId: nobody, email, requestId: '' });
  await refused(t, absent, 'ACCOUNT_NOT_FOUND');
});

test('staff issues a key to an account that is locked out', async (t) => {
  const { silo } = t.context;
  const ada = await silo.signUp('Ada');
  await ada.api.apiKeys.deleteApiKey({ keyId: ada.apiKeyId, etag: '', requestId: '' });
  await refused(t, ada.api.accounts.getAccount({}), 'TOKEN_INVALID');
  const issued = await silo.internal().token.staff.issueApiKey({
    accountId: ada.account.id,
    requestId: randomUUID(),
  });
  const { account } = await silo.as(issued.secret).accounts.getAccount({});
  t.is(account?.id, ada.account.id);
});

test('if sign-up is closed, only staff creates accounts', async (t) => {
  await using silo = await startTestSilo({ signup: 'closed' });
  await refused(t, silo.as().accounts.createAccount(newcomer()), 'SIGNUP_CLOSED');
  const { account } = await silo.internal().org.staff.createAccount({ account: newcomer() });
  const { account: made } = await silo.as(account?.apiKey).accounts.getAccount({});
  t.is(made?.id, account?.account?.id);
});
