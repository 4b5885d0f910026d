import { randomUUID } from 'node:crypto';
import type { DescMessage } from '@bufbuild/protobuf';
import { isServiceError } from '@silo/errors/from-status.ts';
import { reasonName } from '@silo/errors/reason-name.ts';
import { SiloError } from '@silo/errors/silo-error.ts';
import { Plan } from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { Account } from '@silo/protos/gen/silo/org/v1/account_service.ts';
import { Member, Organization } from '@silo/protos/gen/silo/org/v1/organization.ts';
import { Project } from '@silo/protos/gen/silo/project/v1/project.ts';
import { loadImage, siloMethods } from '@silo/protos/image.ts';
import { serviceNames } from '@silo/service/config.ts';
import { newId } from '@silo/tokens/ids.ts';
import { newInviteCode } from '@silo/tokens/secrets.ts';
import type { ExecutionContext } from 'ava';
import { createKey, join, keyMessage } from '../authorization/world.ts';
import type { PublicApi, SignedUp } from '../harness/clients.ts';
import type { TestSilo } from '../harness/silo.ts';
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

/** Calls one method about the thing with this id; `own` is the caller's, for what else it names. */
type Ask = (api: PublicApi, id: string, own: SignedUp) => Promise<unknown>;

const rest = { etag: '', requestId: '' };
const unplanned = { requestId: '', planFingerprint: '' };
const updateMask = undefined;
const email = 'somebody@example.com';
const level = Level.LEVEL_MEMBER;

const ofOrganizations: Record<string, Ask> = {
  '/silo.org.v1.OrganizationService/GetOrganization': (api, organizationId) =>
    api.organizations.getOrganization({ organizationId }),
  '/silo.org.v1.OrganizationService/UpdateOrganization': (api, id) =>
    api.organizations.updateOrganization({
      organization: Organization.fromPartial({ id, name: 'x' }),
      updateMask,
      requestId: '',
    }),
  '/silo.org.v1.OrganizationService/DeleteOrganization': (api, organizationId) =>
    api.organizations.deleteOrganization({ organizationId, endDeletedProjects: true, ...rest }),
  '/silo.org.v1.OrganizationService/ListMembers': (api, organizationId) =>
    api.organizations.listMembers({ organizationId, ...firstPage }),
  '/silo.org.v1.OrganizationService/UpdateMember': (api, organizationId, { account }) =>
    api.organizations.updateMember({
      member: Member.fromPartial({ organizationId, accountId: account.id, level }),
      updateMask,
      requestId: '',
    }),
  '/silo.org.v1.OrganizationService/RemoveMember': (api, organizationId, { account }) =>
    api.organizations.removeMember({ organizationId, accountId: account.id, ...rest }),
  '/silo.org.v1.OrganizationService/LeaveOrganization': (api, organizationId) =>
    api.organizations.leaveOrganization({ organizationId, requestId: '' }),
  '/silo.org.v1.OrganizationService/InviteMember': (api, organizationId) =>
    api.organizations.inviteMember({ organizationId, email, level, requestId: randomUUID() }),
  '/silo.org.v1.OrganizationService/ListInvites': (api, organizationId) =>
    api.organizations.listInvites({ organizationId, ...firstPage }),
  '/silo.org.v1.OrganizationService/DeleteInvite': (api, organizationId) =>
    api.organizations.deleteInvite({ organizationId, inviteId: newId('inv'), requestId: '' }),
  '/silo.org.v1.ActivityService/ListActivity': (api, organizationId) =>
    api.activity.listActivity({ organizationId, projectId: '', ...firstPage }),
  '/silo.project.v1.ProjectService/CreateProject': (api, organizationId) =>
    createProject(api, organizationId),
  '/silo.project.v1.ProjectService/ListProjects': (api, organizationId) =>
    api.projects.listProjects({ organizationId, showDeleted: false, ...firstPage }),
  '/silo.project.v1.ProjectService/CreateRecommendedProjects': (api, organizationId) =>
    api.projects.createRecommendedProjects({ organizationId, requestId: '' }),
  '/silo.project.v1.ProjectService/ListMoves': (api, organizationId) =>
    api.projects.listMoves({ organizationId, projectId: '', ...firstPage }),
  '/silo.project.v1.ProjectService/BatchMoveProjects': (api, sourceOrganizationId, own) =>
    api.projects.batchMoveProjects({
      sourceOrganizationId,
      projectIds: [own.projectId],
      destinationOrganizationId: own.organization.id,
      ...unplanned,
    }),
  '/silo.billing.v1.BillingService/GetSubscription': (api, organizationId) =>
    api.billing.getSubscription({ organizationId }),
  '/silo.billing.v1.BillingService/UpdateBillingDetails': (api, organizationId) =>
    api.billing.updateBillingDetails({ organizationId, billingDetails, ...rest }),
  '/silo.billing.v1.BillingService/ChangePlan': (api, organizationId) =>
    api.billing.changePlan({ organizationId, plan: Plan.PLAN_FREE, ...rest }),
};

/** Second ways to name an organization. */
const ofOrganizationsBesides: Record<string, Ask> = {
  'PreviewMove of a batch': (api, sourceOrganizationId, { organization, projectId }) =>
    api.projects.previewMove({
      ...{ projectId: '', destinationOrganizationId: organization.id },
      ...{ sourceOrganizationId, projectIds: [projectId] },
    }),
};

const ofProjects: Record<string, Ask> = {
  '/silo.project.v1.ProjectService/GetProject': (api, projectId) =>
    api.projects.getProject({ projectId }),
  '/silo.project.v1.ProjectService/UpdateProject': (api, id) =>
    api.projects.updateProject({
      project: Project.fromPartial({ id, name: 'x' }),
      updateMask,
      requestId: '',
    }),
  '/silo.project.v1.ProjectService/DeleteProject': (api, projectId) =>
    api.projects.deleteProject({ projectId, ...rest }),
  '/silo.project.v1.ProjectService/ListMoveDestinations': (api, projectId) =>
    api.projects.listMoveDestinations({ projectId, ...firstPage }),
  '/silo.project.v1.ProjectService/PreviewMove': (api, projectId, { organization }) =>
    api.projects.previewMove({
      ...{ projectId, destinationOrganizationId: organization.id },
      ...{ sourceOrganizationId: '', projectIds: [] },
    }),
  '/silo.project.v1.ProjectService/MoveProject': (api, projectId, { organization }) =>
    api.projects.moveProject({
      projectId,
      destinationOrganizationId: organization.id,
      etag: '',
      ...unplanned,
    }),
  '/silo.token.v1.ProjectTokenService/GetProjectToken': (api, projectId) =>
    api.projectTokens.getProjectToken({ projectId }),
  '/silo.token.v1.ProjectTokenService/RegenerateProjectToken': (api, projectId) =>
    api.projectTokens.regenerateProjectToken({ projectId, expectedFingerprint: '', requestId: '' }),
};

/** To its last owner a deleted project is none, but for this. */
const ofDeletedProjects: Record<string, Ask> = {
  '/silo.project.v1.ProjectService/UndeleteProject': (api, projectId) =>
    api.projects.undeleteProject({ projectId, requestId: '' }),
};

const ofMoves: Record<string, Ask> = {
  '/silo.project.v1.ProjectService/GetMove': (api, moveId) => api.projects.getMove({ moveId }),
  '/silo.project.v1.ProjectService/UndoMove': (api, moveId) =>
    api.projects.undoMove({ moveId, requestId: '' }),
  '/silo.project.v1.ProjectService/FinalizeMove': (api, moveId) =>
    api.projects.finalizeMove({ moveId, requestId: '' }),
};

/** Second ways to name a project, which the list above has under another method. */
const ofProjectsBesides: Record<string, Ask> = {
  'ListActivity of a project': (api, projectId) =>
    api.activity.listActivity({ organizationId: '', projectId, ...firstPage }),
  'ListMoves of a project': (api, projectId) =>
    api.projects.listMoves({ organizationId: '', projectId, ...firstPage }),
  'PreviewMove of a batch': (api, projectId, { organization }) =>
    api.projects.previewMove({
      ...{ projectId: '', destinationOrganizationId: organization.id },
      ...{ sourceOrganizationId: organization.id, projectIds: [projectId] },
    }),
  'BatchMoveProjects of a project': (api, projectId, { organization }) =>
    api.projects.batchMoveProjects({
      sourceOrganizationId: organization.id,
      projectIds: [projectId],
      destinationOrganizationId: organization.id,
      ...unplanned,
    }),
};

const currentProject: Record<string, Ask> = {
  '/silo.org.v1.AccountService/UpdateAccount': (api, currentProjectId) =>
    api.accounts.updateAccount({
      account: Account.fromPartial({ currentProjectId }),
      updateMask,
      requestId: '',
    }),
};

const ofKeys: Record<string, Ask> = {
  '/silo.token.v1.ApiKeyService/GetApiKey': (api, keyId) => api.apiKeys.getApiKey({ keyId }),
  '/silo.token.v1.ApiKeyService/UpdateApiKey': (api, id) =>
    api.apiKeys.updateApiKey({ apiKey: keyMessage({ id, name: 'x' }), updateMask, requestId: '' }),
  '/silo.token.v1.ApiKeyService/DisableApiKey': (api, keyId) =>
    api.apiKeys.disableApiKey({ keyId, ...rest }),
  '/silo.token.v1.ApiKeyService/EnableApiKey': (api, keyId) =>
    api.apiKeys.enableApiKey({ keyId, ...rest }),
  '/silo.token.v1.ApiKeyService/RollApiKey': (api, keyId) =>
    api.apiKeys.rollApiKey({ keyId, overlap: undefined, etag: '', requestId: randomUUID() }),
  '/silo.token.v1.ApiKeyService/DeleteApiKey': (api, keyId) =>
    api.apiKeys.deleteApiKey({ keyId, ...rest }),
};

/** The key's restrictions may name anything: what the account has no access to is dormant. */
const tellingNothing = ['/silo.token.v1.ApiKeyService/CreateApiKey'];

/** All that a caller hears: code, text and every trailer but the time, its id blotted out. */
async function heard(call: Promise<unknown>, id: string): Promise<unknown> {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof SiloError) || !isServiceError(error.cause)) throw error ?? new Error('OK');
  const { code, details, metadata } = error.cause;
  const { date: _, ...told } = metadata.getMap();
  const trailers = Object.entries(told).map(([key, value]) => [
    key,
    value.toString('latin1').replaceAll(id, '<id>'),
  ]);
  const { reason, details: decoded } = error;
  return { code, details, trailers, reason: reasonName(reason), decoded: blotted(decoded, id) };
}

function blotted(details: unknown, id: string): unknown {
  return JSON.parse(JSON.stringify(details).replaceAll(id, '<id>'));
}

/** Demands that a hidden and an absent thing are refused alike, for this reason. */
async function sameRefusal(
  t: ExecutionContext<unknown>,
  asks: Record<string, Ask>,
  about: { api: PublicApi; own: SignedUp; hidden: string; absent: () => string; reason: string },
): Promise<void> {
  const { api, own, hidden, absent, reason } = about;
  for (const [path, ask] of Object.entries(asks)) {
    const none = absent();
    const toHidden = await heard(ask(api, hidden, own), hidden);
    t.deepEqual(toHidden, await heard(ask(api, none, own), none), path);
    t.like(toHidden, { reason, decoded: { resourceInfo: { resourceName: '<id>' } } }, path);
  }
}

const absentOrganization = () => newId('org_us');
const absentProject = () => newId('prj');

test('every public method that names a thing is tried', (t) => {
  const naming = siloMethods(loadImage())
    .filter(({ path }) => /^\/silo\.\w+\.v1\./.test(path) && !path.includes('.internal.'))
    .filter(({ method }) => namesThing(method.input))
    .map(({ path }) => path);
  const lists = [ofOrganizations, ofProjects, ofDeletedProjects, ofMoves, currentProject, ofKeys];
  const tried = lists.flatMap(Object.keys);
  t.deepEqual([...tried, ...tellingNothing].sort(), naming);
});

function namesThing({ fields }: DescMessage): boolean {
  return fields.some(
    ({ name, message, fieldKind }) =>
      (/(^|_)id$/.test(name) && name !== 'request_id') ||
      (fieldKind === 'message' && message.fields.some((each) => /(^|_)id$/.test(each.name))),
  );
}

test('an organization of which one is no member is as one that is not there', async (t) => {
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

test('a project that another’s organization owns is as one that is not there', async (t) => {
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

test('another’s key is as one that is not there', async (t) => {
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

test('a move between organizations of which one is in neither is as one that is not there', async (t) => {
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

test('what a restricted key does not reach is, to it, as what is not there', async (t) => {
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

test('what is deleted is, also to its last owner, as what never was', async (t) => {
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

test('an account that exists but is no member is as one that does not exist', async (t) => {
  const { silo } = t.context;
  const [ada, eve] = [await silo.signUp('Ada'), await silo.signUp('Eve')];
  const { organizations } = eve.api;
  const organizationId = eve.organization.id;
  const asks: Record<string, Ask> = {
    UpdateMember: (_, accountId) =>
      organizations.updateMember({
        member: Member.fromPartial({ organizationId, accountId, level }),
        updateMask,
        requestId: '',
      }),
    RemoveMember: (_, accountId) =>
      organizations.removeMember({ organizationId, accountId, ...rest }),
  };
  await sameRefusal(t, asks, {
    ...{ api: eve.api, own: eve, hidden: ada.account.id, absent: () => newId('acc') },
    reason: 'MEMBER_NOT_FOUND',
  });
});

test('another organization’s invite is as none, and so is a code that is for somebody else', async (t) => {
  const { silo } = t.context;
  const [ada, eve] = [await silo.signUp('Ada'), await silo.signUp('Eve')];
  const { invite, code } = await ada.api.organizations.inviteMember({
    organizationId: ada.organization.id,
    email,
    level,
    requestId: randomUUID(),
  });
  const { organizations } = eve.api;
  const asks: Record<string, Ask> = {
    DeleteInvite: (_, inviteId) =>
      organizations.deleteInvite({ organizationId: eve.organization.id, inviteId, requestId: '' }),
  };
  await sameRefusal(t, asks, {
    ...{ api: eve.api, own: eve, hidden: present(invite).id, absent: () => newId('inv') },
    reason: 'INVITE_NOT_FOUND',
  });
  const accept = (code: string) => heard(organizations.acceptInvite({ code, requestId: '' }), code);
  t.deepEqual(await accept(code), await accept(newInviteCode()));
});

test('a destination that one is no member of is as one that is not there, full or not', async (t) => {
  const { silo } = t.context;
  const [ada, eve] = [await silo.signUp('Ada'), await silo.signUp('Eve')];
  await choosePlan(eve.api, eve.organization.id);
  await createProject(eve.api, eve.organization.id);
  const asks: Record<string, Ask> = {
    MoveProject: (api, destinationOrganizationId, { projectId }) =>
      api.projects.moveProject({ projectId, destinationOrganizationId, etag: '', ...unplanned }),
    PreviewMove: (api, destinationOrganizationId, { projectId }) =>
      api.projects.previewMove({
        ...{ projectId, destinationOrganizationId },
        ...{ sourceOrganizationId: '', projectIds: [] },
      }),
    BatchMoveProjects: (api, destinationOrganizationId, { projectId, organization }) =>
      api.projects.batchMoveProjects({
        sourceOrganizationId: organization.id,
        projectIds: [projectId],
        destinationOrganizationId,
        ...unplanned,
      }),
  };
  await sameRefusal(t, asks, {
    ...{ api: eve.api, own: eve, hidden: ada.organization.id, absent: absentOrganization },
    reason: 'ORGANIZATION_NOT_FOUND',
  });
});

test('who was a member and is not any more is told what a stranger is told', async (t) => {
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

/** What calls read, and nothing runs by itself: facts, and the things that requests name. */
const readCollections = [
  ...['accounts', 'organizations', 'memberships', 'invites'],
  ...['projects', 'moves', 'key_secrets', 'api_keys'],
];

/** The reads of one call in all four databases, as MongoDB's profiler saw them, in any order. */
async function readsOf(silo: TestSilo, call: () => Promise<unknown>): Promise<string[]> {
  const databases = serviceNames.map((name) => silo.mongo.db(`${silo.databasePrefix}_${name}`));
  const filter = {
    op: 'query',
    ns: { $in: databases.flatMap(namespacesOf) },
    // Looking for what to purge.
    'command.filter.purgeTime': { $exists: false },
  };
  for (const db of databases) await db.command({ profile: 1, filter });
  await call();
  const reads: string[] = [];
  for (const db of databases) {
    await db.command({ profile: 0, filter: 'unset' });
    const profiled = await db.collection('system.profile').find().toArray();
    reads.push(...profiled.map(({ ns }) => ns.replace(silo.databasePrefix, '')));
    await db.dropCollection('system.profile');
  }
  return reads.sort();
}

function namespacesOf({ databaseName }: { databaseName: string }): string[] {
  return readCollections.map((collection) => `${databaseName}.${collection}`);
}

test('what is hidden is found out by the same reads as what is not there, even where its owner has just used it', async (t) => {
  const { silo } = t.context;
  const [ada, eve] = [await silo.signUp('Ada'), await silo.signUp('Eve')];
  await choosePlan(ada.api, ada.organization.id);
  const { id: movedId } = await createProject(ada.api, ada.organization.id);
  const { organizationId } = await createOrganization(ada.api);
  await choosePlan(ada.api, organizationId);
  const moveId = present((await moveProject(ada.api, movedId, organizationId)).move).id;
  const kinds: [Record<string, Ask>, string, () => string][] = [
    [{ ...ofOrganizations, ...ofOrganizationsBesides }, ada.organization.id, absentOrganization],
    [{ ...ofProjects, ...ofDeletedProjects, ...currentProject }, ada.projectId, absentProject],
    [ofProjectsBesides, ada.projectId, absentProject],
    [ofMoves, moveId, () => newId('mov')],
    [ofKeys, ada.apiKeyId, () => newId('key')],
  ];
  const use = async () => {
    await ada.api.projects.getProject({ projectId: ada.projectId });
    await ada.api.projectTokens.getProjectToken({ projectId: ada.projectId });
    await ada.api.activity.listActivity({
      ...{ organizationId: '', projectId: ada.projectId, ...firstPage },
    });
    await ada.api.billing.getSubscription({ organizationId: ada.organization.id });
    await ada.api.projects.getMove({ moveId });
  };
  for (const [asks, hidden, absent] of kinds) {
    for (const [path, ask] of Object.entries(asks)) {
      await use();
      // So that the caller's own key is remembered for both.
      const [none, first] = [absent(), absent()];
      await heard(ask(eve.api, first, eve), first);
      const ofHidden = await readsOf(silo, () => heard(ask(eve.api, hidden, eve), hidden));
      const ofAbsent = await readsOf(silo, () => heard(ask(eve.api, none, eve), none));
      t.deepEqual(ofHidden, ofAbsent, path);
      t.true(ofAbsent.length > 0, path);
    }
  }
});
