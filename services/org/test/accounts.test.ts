import { reasonOf } from '@silo/errors/from-status.ts';
import type { Account } from '@silo/protos/gen/silo/org/v1/account_service.ts';
import type { Organization } from '@silo/protos/gen/silo/org/v1/organization.ts';
import { bind } from '@silo/rpc/test/bind.ts';
import test from 'ava';
import { createOrganization } from '../handlers/create-organization.ts';
import { getAccount } from '../handlers/get-account.ts';
import { getAccountMemberships } from '../handlers/internal/directory.ts';
import { listOrganizations } from '../handlers/list-organizations.ts';
import { updateAccount } from '../handlers/update-account.ts';
import { updateOrganization } from '../handlers/update-organization.ts';
import { createOrgFactReader } from '../store/fact-reader.ts';
import { serviceHarness } from './service-support.ts';

const firstPage = { pageSize: 0, pageToken: '' };
const projectId = 'prj_01cccccccccccccccccccccccc';

function account(given: Partial<Account>): Account {
  const nothing = { id: '', email: '', displayName: '', currentProjectId: '', etag: '' };
  return { ...nothing, createTime: undefined, updateTime: undefined, ...given };
}

function organization(given: Partial<Organization>): Organization {
  const nothing = { id: '', name: '', membersMayCreateProjects: false, level: 0 as const };
  return { ...nothing, createTime: undefined, updateTime: undefined, etag: '', ...given };
}

test('an account changes its name; unchanged fields are not in the event', async (t) => {
  const { dependencies, call, signUp, emittedEvents } = await serviceHarness(t);
  const { accountId } = await signUp('ada@example.com');
  const update = bind(updateAccount, dependencies);
  const request = { updateMask: undefined, requestId: '' };
  const named = { ...request, account: account({ displayName: 'Ada L.' }) };
  const first = await update(named, call({ accountId }));
  t.is(first.account?.displayName, 'Ada L.');
  t.deepEqual(await update(named, call({ accountId })), first);
  t.is((await emittedEvents()).filter((event) => event === 'account_updated').length, 1);
  const shown = await bind(getAccount, dependencies)({}, call({ accountId }));
  t.deepEqual(shown.account, first.account);
  const stale = { ...request, account: account({ displayName: 'Eve', etag: 'old' }) };
  t.is(reasonOf(await t.throwsAsync(update(stale, call({ accountId })))), 'ETAG_MISMATCH');
});

test('a caller cannot set a current project that it may not read, and can always unset it', async (t) => {
  const { dependencies, call, signUp } = await serviceHarness(t);
  const { accountId } = await signUp('ada@example.com');
  const update = bind(updateAccount, dependencies);
  const hidden = {
    account: account({ currentProjectId: projectId }),
    updateMask: undefined,
    requestId: '',
  };
  t.is(reasonOf(await t.throwsAsync(update(hidden, call({ accountId })))), 'PROJECT_NOT_FOUND');
  const none = { ...hidden, account: account({}), updateMask: ['current_project_id'] };
  t.is((await update(none, call({ accountId }))).account?.currentProjectId, '');
});

test('organizations are listed page by page: those of the caller that its key reaches', async (t) => {
  const { dependencies, call, signUp } = await serviceHarness(t);
  const { accountId, organizationId } = await signUp('ada@example.com');
  const other = await signUp('bob@example.com');
  const create = bind(createOrganization, dependencies);
  const second = await create({ name: 'Second', requestId: '' }, call({ accountId }));
  const list = bind(listOrganizations, dependencies);
  const { organizations: all } = await list(firstPage, call({ accountId }));
  t.deepEqual(
    all.map(({ id }) => id),
    [organizationId, second.organization?.id],
  );
  const paged = await list({ pageSize: 1, pageToken: '' }, call({ accountId }));
  t.is(paged.organizations.length, 1);
  const rest = { pageSize: 1, pageToken: paged.nextPageToken };
  const last = await list(rest, call({ accountId }));
  t.is(last.organizations[0]?.id, second.organization?.id);
  t.is(last.nextPageToken, '');
  const foreign = list(rest, call({ accountId: other.accountId }));
  t.is(reasonOf(await t.throwsAsync(foreign)), 'INVALID_FIELD');
  const restricted = { accountId, organizationIds: [organizationId, other.organizationId] };
  const reached = await list(firstPage, call(restricted));
  t.deepEqual(
    reached.organizations.map(({ id }) => id),
    [organizationId],
  );
  const toProject = await list(firstPage, call({ accountId, projectIds: [projectId] }));
  t.deepEqual(toProject.organizations, []);
});

test('a change of membersMayCreateProjects is in the organization’s fact at once', async (t) => {
  const { dependencies, call, signUp, stores, signal, emittedEvents } = await serviceHarness(t);
  const { accountId, organizationId } = await signUp('ada@example.com');
  const other = await signUp('bob@example.com');
  const factReader = createOrgFactReader(stores);
  t.true((await factReader.organization(organizationId, signal))?.membersMayCreateProjects);
  const update = bind(updateOrganization, dependencies);
  const given = organization({ id: organizationId });
  const request = {
    organization: given,
    updateMask: ['members_may_create_projects'],
    requestId: '',
  };
  const { organization: updated } = await update(request, call({ accountId }));
  t.false(updated?.membersMayCreateProjects);
  t.false((await factReader.organization(organizationId, signal))?.membersMayCreateProjects);
  t.true((await factReader.organization(other.organizationId, signal))?.membersMayCreateProjects);
  const stale = { ...request, organization: { ...given, etag: 'old' } };
  t.is(reasonOf(await t.throwsAsync(update(stale, call({ accountId })))), 'ETAG_MISMATCH');
  t.is((await emittedEvents()).at(-1), 'organization_updated');
});

test('the directory returns one account’s memberships', async (t) => {
  const { dependencies, call, signUp } = await serviceHarness(t);
  const { accountId, organizationId } = await signUp('ada@example.com');
  await signUp('bob@example.com');
  const answer = bind(getAccountMemberships, dependencies);
  t.deepEqual(await answer({ accountId, pageToken: '' }, call({ staff: true })), {
    currentProjectId: '',
    memberships: [
      { organizationId, organizationName: 'Acme', level: 3, membersMayCreateProjects: true },
    ],
    nextPageToken: '',
  });
  const nobody = { accountId: 'acc_none', pageToken: '' };
  const unknown = await t.throwsAsync(answer(nobody, call({ staff: true })));
  t.is(reasonOf(unknown), 'ACCOUNT_NOT_FOUND');
});
