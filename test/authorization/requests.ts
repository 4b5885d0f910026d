import { randomBytes, randomUUID } from 'node:crypto';
import { Plan } from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { Migration } from '@silo/protos/gen/silo/project/v1/migration.ts';
import { Project } from '@silo/protos/gen/silo/project/v1/project.ts';
import { newId } from '@silo/tokens/ids.ts';
import { newProjectToken } from '@silo/tokens/secrets.ts';
import { ulid } from 'ulid';
import type { SignedUp } from '../harness/clients.ts';
import { keyMessage, type World } from './world.ts';

/** A request about the world's organization or project, for any caller. */
type Request = (world: World, caller: SignedUp) => object;

/**
 * Never the right etag: a caller that may change the thing gets ETAG_MISMATCH, and changes nothing.
 */
const etag = 'not-the-etag';
const requestId = '';
const page = { pageSize: 0, pageToken: '' };

const byOrganization: Request = ({ organizationId }) => ({ organizationId, ...page });
const byProject: Request = ({ projectId }) => ({ projectId, ...page });
const ownKey: Request = ({ keyIds }, { account }) => ({
  keyId: keyIds.get(account.id),
  etag,
  requestId,
});
const onBehalfOf = { accountId: '', keyHash: Buffer.alloc(32), correlationId: '' };
const email = () => `${randomUUID()}@example.com`;
const newAccount = () => ({
  email: email(),
  displayName: 'New',
  organizationName: 'New',
  requestId: randomUUID(),
});
const saga = { actor: 'silo', correlationId: 'test' };

/** Names no migration: an authorized caller gets MIGRATION_NOT_FOUND. */
const byMigration: Request = () => ({ migrationId: newId('mig_eu'), requestId });
const byOrganizationOfMigration: Request = ({ organizationId }) => ({
  migrationId: newId('mig_us'),
  organizationId,
  requestId,
});
const byAttempt: Request = () => ({ migrationId: newId('mig_eu'), attempt: 1 });
const everything = { after: undefined, last: undefined };
const seen = { uuid: '', name: 'seen', distinctId: 'x', timestamp: '', properties: '' };

const leaseId = () => ulid().toLowerCase();
/** A position that every guard has passed, so requiring it changes nothing. */
const longPast = { source: 'org', incarnation: '0'.repeat(26), sequence: 0 };

/** A well-formed request for every method; its changes do not disturb later rows. */
export const requests: Record<string, Request> = {
  '/silo.org.v1.AccountService/CreateAccount': newAccount,
  '/silo.org.v1.AccountService/GetAccount': () => ({}),
  '/silo.org.v1.AccountService/UpdateAccount': () => ({ account: { displayName: 'x', etag } }),

  '/silo.org.v1.OrganizationService/CreateOrganization': () => ({ name: 'New', requestId }),
  '/silo.org.v1.OrganizationService/GetOrganization': byOrganization,
  '/silo.org.v1.OrganizationService/ListOrganizations': () => page,
  '/silo.org.v1.OrganizationService/UpdateOrganization': ({ organizationId }) => ({
    organization: { id: organizationId, name: 'x', etag },
  }),
  '/silo.org.v1.OrganizationService/DeleteOrganization': ({ organizationId }) => ({
    organizationId,
    etag,
    requestId,
  }),
  '/silo.org.v1.OrganizationService/ListMembers': byOrganization,
  '/silo.org.v1.OrganizationService/UpdateMember': ({ organizationId, member }) => ({
    member: { organizationId, accountId: member.account.id, level: Level.LEVEL_MEMBER, etag },
  }),
  '/silo.org.v1.OrganizationService/RemoveMember': ({ organizationId, member }) => ({
    organizationId,
    accountId: member.account.id,
    etag,
    requestId,
  }),
  '/silo.org.v1.OrganizationService/LeaveOrganization': ({ organizationId }) => ({
    organizationId,
    requestId,
  }),
  '/silo.org.v1.OrganizationService/InviteMember': ({ organizationId }) => ({
    organizationId,
    email: email(),
    level: Level.LEVEL_MEMBER,
    requestId: randomUUID(),
  }),
  '/silo.org.v1.OrganizationService/ListInvites': byOrganization,
  '/silo.org.v1.OrganizationService/DeleteInvite': ({ organizationId }) => ({
    organizationId,
    inviteId: newId('inv'),
    requestId,
  }),
  '/silo.org.v1.OrganizationService/AcceptInvite': () => ({ code: 'no-such-code', requestId }),

  '/silo.org.v1.ActivityService/ListActivity': byOrganization,

  '/silo.project.v1.ProjectService/CreateProject': ({ organizationId }) => ({
    organizationId,
    name: 'New',
    requestId,
  }),
  '/silo.project.v1.ProjectService/GetProject': byProject,
  '/silo.project.v1.ProjectService/ListProjects': byOrganization,
  '/silo.project.v1.ProjectService/SearchProjects': () => ({ query: '', ...page }),
  '/silo.project.v1.ProjectService/UpdateProject': ({ projectId }) => ({
    project: Project.fromPartial({ id: projectId, name: 'x', etag }),
  }),
  '/silo.project.v1.ProjectService/DeleteProject': ({ projectId }) => ({
    projectId,
    etag,
    requestId,
  }),
  '/silo.project.v1.ProjectService/CreateRecommendedProjects': ({ organizationId }) => ({
    organizationId,
    requestId,
  }),
  '/silo.project.v1.ProjectService/ListMoveDestinations': byProject,
  // To its present organization: an authorized caller gets ALREADY_THERE.
  '/silo.project.v1.ProjectService/PreviewMove': ({ projectId, organizationId }) => ({
    projectId,
    destinationOrganizationId: organizationId,
  }),
  '/silo.project.v1.ProjectService/MoveProject': ({ projectId, organizationId }) => ({
    projectId,
    destinationOrganizationId: organizationId,
    etag: '',
    requestId,
  }),

  // The project is not deleted, so an authorized caller gets PROJECT_NOT_DELETED.
  '/silo.project.v1.ProjectService/UndeleteProject': ({ projectId }) => ({ projectId, requestId }),
  // Like MoveProject.
  '/silo.project.v1.ProjectService/BatchMoveProjects': ({ projectId, organizationId }) => ({
    sourceOrganizationId: organizationId,
    projectIds: [projectId],
    destinationOrganizationId: organizationId,
    requestId,
  }),
  // There is no such move; the visibility of moves is tested in test/scenarios.
  '/silo.project.v1.ProjectService/GetMove': () => ({ moveId: newId('mov') }),
  '/silo.project.v1.ProjectService/ListMoves': byOrganization,
  '/silo.project.v1.ProjectService/UndoMove': () => ({ moveId: newId('mov'), requestId }),
  '/silo.project.v1.ProjectService/FinalizeMove': () => ({ moveId: newId('mov'), requestId }),

  '/silo.project.v1.EventService/CaptureEvents': () => ({
    events: [seen],
    superProperties: '',
  }),
  '/silo.project.v1.EventService/QueryEvents': byProject,
  '/silo.project.v1.EventService/CountEvents': byProject,
  '/silo.project.v1.EventService/GetUsage': byOrganization,
  '/silo.project.v1.EventService/DeadTokenReport': ({ projectId }) => ({ projectId }),
  '/silo.project.v1.EventService/ExportEvents': byProject,
  // Matches no events, so that later rows find theirs.
  '/silo.project.v1.EventService/DeleteEvents': ({ projectId }) => ({
    ...{ projectId, requestId },
    filter: { names: [], distinctId: 'nobody', properties: [] },
  }),
  // Names no deletion: an authorized caller gets EVENT_DELETION_NOT_FOUND.
  '/silo.project.v1.EventService/GetEventDeletion': ({ projectId }) => ({
    projectId,
    deletionId: newId('evd'),
  }),

  // To its own region: an authorized caller gets CROSS_REGION.
  '/silo.project.v1.MigrationService/PreviewMigration': ({ projectId, elsewhereId }) => ({
    ...{ projectId, destinationRegion: 'us', destinationOrganizationId: elsewhereId },
  }),
  '/silo.project.v1.MigrationService/RequestMigration': ({ projectId, elsewhereId }) => ({
    ...{ projectId, destinationRegion: 'us', destinationOrganizationId: elsewhereId, requestId },
  }),
  '/silo.project.v1.MigrationService/AcceptMigration': byOrganizationOfMigration,
  '/silo.project.v1.MigrationService/CancelMigration': byOrganizationOfMigration,
  '/silo.project.v1.MigrationService/GetMigration': byOrganizationOfMigration,
  '/silo.project.v1.MigrationService/ListMigrations': byOrganization,
  '/silo.project.v1.MigrationService/WatchMigration': byOrganizationOfMigration,

  '/silo.token.v1.ProjectTokenService/GetProjectToken': byProject,
  '/silo.token.v1.ProjectTokenService/RegenerateProjectToken': ({ projectId }) => ({
    projectId,
    expectedFingerprint: '000000000000',
    requestId,
  }),

  '/silo.token.v1.ApiKeyService/CreateApiKey': () => ({
    apiKey: keyMessage({ name: 'New', scopes: ['account:read'] }),
    requestId: randomUUID(),
  }),
  '/silo.token.v1.ApiKeyService/GetApiKey': ownKey,
  '/silo.token.v1.ApiKeyService/ListApiKeys': () => page,
  '/silo.token.v1.ApiKeyService/UpdateApiKey': ({ keyIds }, { account }) => ({
    apiKey: keyMessage({ id: keyIds.get(account.id) ?? '', name: 'x', etag }),
    requestId,
  }),
  '/silo.token.v1.ApiKeyService/DisableApiKey': ownKey,
  '/silo.token.v1.ApiKeyService/EnableApiKey': ownKey,
  '/silo.token.v1.ApiKeyService/RollApiKey': (world, caller) => ({
    ...ownKey(world, caller),
    requestId: randomUUID(),
  }),
  '/silo.token.v1.ApiKeyService/DeleteApiKey': ownKey,

  '/silo.billing.v1.BillingService/ListPlans': () => ({}),
  '/silo.billing.v1.BillingService/GetSubscription': byOrganization,
  '/silo.billing.v1.BillingService/UpdateBillingDetails': ({ organizationId }) => ({
    organizationId,
    billingDetails: {
      companyName: 'x',
      email: 'x@example.com',
      address: 'x',
      countryCode: 'DE',
      taxId: '',
    },
    etag,
    requestId,
  }),
  '/silo.billing.v1.BillingService/ChangePlan': ({ organizationId }) => ({
    organizationId,
    plan: Plan.PLAN_SCALE,
    etag,
    requestId,
  }),

  '/silo.events.internal.v1.EventLogService/ReadEvents': () => ({ afterSequence: 0, batchSize: 1 }),
  '/silo.events.internal.v1.EventLogService/GetHead': () => ({}),

  '/silo.org.internal.v1.FactService/GetOrganizationFact': byOrganization,
  '/silo.org.internal.v1.FactService/GetMembershipFact': ({ organizationId, owner }) => ({
    organizationId,
    accountId: owner.account.id,
  }),
  '/silo.org.internal.v1.DirectoryService/GetAccountMemberships': ({ owner }) => ({
    accountId: owner.account.id,
  }),
  '/silo.org.internal.v1.DirectoryService/ListMembersOfTwo': ({ organizationId, elsewhereId }) => ({
    firstOrganizationId: organizationId,
    secondOrganizationId: elsewhereId,
  }),
  '/silo.org.internal.v1.DirectoryService/DescribeOrganization': byOrganization,
  '/silo.org.internal.v1.StaffService/CreateAccount': () => ({ account: newAccount() }),
  '/silo.org.internal.v1.StaffService/ChangeEmail': ({ foreign }) => ({
    accountId: foreign.account.id,
    email: email(),
    requestId,
  }),

  '/silo.project.internal.v1.FactService/GetProjectFact': byProject,
  '/silo.project.internal.v1.SlotService/OpenSlots': ({ organizationId }) => ({
    organizationId,
    limit: 1,
    defaultProjectId: newId('prj'),
    ...saga,
  }),
  '/silo.project.internal.v1.SlotService/TrySetLimit': ({ organizationId }) => ({
    organizationId,
    limit: 1,
    revision: 1,
    onBehalfOf,
  }),
  '/silo.project.internal.v1.SlotService/TryCloseSlots': ({ organizationId }) => ({
    organizationId,
    revision: 1,
    onBehalfOf,
  }),
  '/silo.project.internal.v1.SlotService/GetSlots': byOrganization,

  '/silo.project.internal.v1.MigrationStaffService/StartMigration': byMigration,
  '/silo.project.internal.v1.MigrationStaffService/RetryMigration': byMigration,
  '/silo.project.internal.v1.MigrationStaffService/SetMigrationRate': byMigration,
  '/silo.project.internal.v1.MigrationStaffService/CancelMigration': byMigration,
  '/silo.project.internal.v1.MigrationStaffService/RollbackMigration': byMigration,
  '/silo.project.internal.v1.MigrationStaffService/PurgeSource': byMigration,
  '/silo.project.internal.v1.MigrationStaffService/GetMigration': byMigration,
  '/silo.project.internal.v1.MigrationStaffService/ListMigrations': () => page,
  '/silo.project.internal.v1.MigrationStaffService/WatchMigration': byMigration,
  '/silo.project.internal.v1.MigrationPeerService/PeekDestination': byOrganization,
  '/silo.project.internal.v1.MigrationPeerService/GetOffer': byMigration,
  '/silo.project.internal.v1.MigrationPeerService/DescribeProject': byMigration,
  '/silo.project.internal.v1.MigrationPeerService/NoteProgress': () => ({
    migration: Migration.fromPartial({ id: newId('mig_eu') }),
  }),
  '/silo.project.internal.v1.MigrationPeerService/CancelOffer': byMigration,
  '/silo.project.internal.v1.MigrationPeerService/OfferRollback': () => ({
    migrationId: newId('mig_eu'),
    rollbackId: newId('mig_us'),
  }),
  '/silo.project.internal.v1.MigrationPeerService/PullEvents': byMigration,
  '/silo.project.internal.v1.MigrationPeerService/ReadRange': () => ({
    migrationId: newId('mig_eu'),
    range: everything,
  }),
  '/silo.project.internal.v1.MigrationPeerService/BeginCutover': byAttempt,
  '/silo.project.internal.v1.MigrationPeerService/CommitCutover': byAttempt,
  '/silo.project.internal.v1.MigrationPeerService/AbortCutover': byAttempt,
  '/silo.project.internal.v1.MigrationPeerService/HashRanges': () => ({
    migrationId: newId('mig_eu'),
    ranges: [everything],
  }),
  '/silo.project.internal.v1.MigrationPeerService/ReadDeletions': byMigration,
  '/silo.project.internal.v1.MigrationPeerService/NotePurge': byMigration,
  '/silo.project.internal.v1.MigrationPeerService/ForwardCapture': ({ owner }) => ({
    token: owner.projectToken,
    capture: { events: [seen], superProperties: '' },
  }),
  '/silo.project.internal.v1.MigrationPeerService/LocateHere': byProject,
  '/silo.project.internal.v1.RegionDirectoryService/LocateProject': byProject,

  '/silo.token.internal.v1.FactService/GetTokenFact': () => ({ tokenHash: randomBytes(32) }),
  '/silo.token.internal.v1.FactService/GetKeyFact': () => ({ keyHash: randomBytes(32) }),
  '/silo.token.internal.v1.DirectoryService/ListLiveKeys': ({ owner }) => ({
    accountIds: [owner.account.id],
  }),
  '/silo.token.internal.v1.AccessService/VerifyToken': () => ({ token: newProjectToken() }),
  '/silo.token.internal.v1.AccessService/Authorize': () => ({ key: 'no key', scope: '', level: 0 }),
  '/silo.token.internal.v1.DirectoryService/FindTokenProjects': () => ({
    tokenHashes: [randomBytes(32)],
  }),
  '/silo.token.internal.v1.RegistryService/Acquire': () => ({ leaseId: leaseId(), guardName: 'x' }),
  '/silo.token.internal.v1.RegistryService/Renew': () => ({ leaseId: leaseId() }),
  '/silo.token.internal.v1.RegistryService/Release': () => ({ leaseId: leaseId() }),
  '/silo.token.internal.v1.RegistryService/ReportKeyUse': () => ({
    keys: [{ keyId: newId('key'), accountId: newId('acc') }],
  }),
  '/silo.token.internal.v1.RegistryService/RaiseRequirement': () => ({ positions: [longPast] }),
  '/silo.token.internal.v1.RegistryService/AwaitBarrier': () => ({ positions: [longPast] }),
  '/silo.token.internal.v1.SecretService/MakeProjectToken': () => ({
    projectId: newId('prj'),
    ...saga,
  }),
  '/silo.token.internal.v1.SecretService/StoreApiKey': ({ foreign }) => ({
    keyId: newId('key'),
    accountId: foreign.account.id,
    name: 'x',
    keyHash: randomBytes(32),
    masked: 'phx_...',
    scopes: ['*'],
    correlationId: 'test',
  }),
  '/silo.token.internal.v1.SecretService/PurgeProjectToken': () => ({
    projectId: newId('prj'),
    correlationId: 'test',
  }),
  '/silo.token.internal.v1.SecretService/EndProjectTokenAdoption': () => ({
    projectId: newId('prj'),
    correlationId: 'test',
  }),
  '/silo.token.internal.v1.SecretService/ReadProjectToken': byProject,
  '/silo.token.internal.v1.SecretService/AdoptProjectToken': () => ({
    ...{ projectId: newId('prj'), token: newProjectToken(), revision: 1, ...saga },
  }),
  '/silo.token.internal.v1.SecretService/RetireProjectToken': ({ organizationId }) => ({
    ...{ projectId: newId('prj'), organizationId, ...saga },
  }),
  '/silo.token.internal.v1.StaffService/IssueApiKey': ({ foreign }) => ({
    accountId: foreign.account.id,
    requestId: randomUUID(),
  }),

  '/silo.billing.internal.v1.SubscriptionService/OpenSubscription': ({ organizationId }) => ({
    organizationId,
    ...saga,
  }),
  '/silo.billing.internal.v1.SubscriptionService/CloseSubscription': () => ({
    organizationId: newId('org_us'),
    ...saga,
  }),
};

/** Methods that change the world when they are allowed, so each caller gets its own world. */
export const consuming = new Set(['/silo.org.v1.OrganizationService/LeaveOrganization']);
