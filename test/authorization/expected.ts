import type { Role } from '@silo/protos/gen/silo/common/v1/authorization.ts';
import { Role as Roles } from '@silo/protos/gen/silo/common/v1/authorization.ts';

/**
 * The access rules, written by hand from the design. The options in the protos are compared with
 * this list, not the other way round.
 */
export type Expected =
  /** Any caller, without credentials. */
  | { caller: 'anyone' }
  /** Callers with a key with this scope; `unrestricted` refuses restricted keys. */
  | { caller: 'account'; scope: string; unrestricted?: true }
  /**
   * Callers with at least this level in the organization, or in the organization that owns the
   * project.
   */
  | {
      caller: 'member' | 'admin' | 'owner';
      scope: string;
      of: 'organization' | 'project';
    }
  /** Callers with the project's token; no caller with a key. */
  | { caller: 'project token' }
  /** Callers with a client certificate of one of these roles. */
  | { caller: 'certificate'; roles: Role[] };

const anyone: Expected = { caller: 'anyone' };
const account = (scope: string): Expected => ({ caller: 'account', scope });
const wholeAccount = (scope: string): Expected => ({
  caller: 'account',
  scope,
  unrestricted: true,
});
const member = (scope: string, of: 'organization' | 'project'): Expected => ({
  caller: 'member',
  scope,
  of,
});
const admin = (scope: string, of: 'organization' | 'project'): Expected => ({
  caller: 'admin',
  scope,
  of,
});
const owner = (scope: string, of: 'organization' | 'project'): Expected => ({
  caller: 'owner',
  scope,
  of,
});
const services: Expected = { caller: 'certificate', roles: [Roles.ROLE_SERVICE] };
const staff: Expected = { caller: 'certificate', roles: [Roles.ROLE_STAFF] };
const otherRegions: Expected = { caller: 'certificate', roles: [Roles.ROLE_REGION] };
const otherRegionsAndEdges: Expected = {
  caller: 'certificate',
  roles: [Roles.ROLE_REGION, Roles.ROLE_REGION_EDGE],
};
const factReader: Expected = {
  caller: 'certificate',
  roles: [Roles.ROLE_SERVICE, Roles.ROLE_GUARD],
};
const allRoles: Expected = {
  caller: 'certificate',
  roles: [Roles.ROLE_SERVICE, Roles.ROLE_GUARD, Roles.ROLE_STAFF],
};

export const expected: Record<string, Expected> = {
  '/silo.org.v1.AccountService/CreateAccount': anyone,
  '/silo.org.v1.AccountService/GetAccount': account('account:read'),
  '/silo.org.v1.AccountService/UpdateAccount': wholeAccount('account:write'),

  '/silo.org.v1.OrganizationService/CreateOrganization': wholeAccount('organization:write'),
  '/silo.org.v1.OrganizationService/GetOrganization': member('organization:read', 'organization'),
  '/silo.org.v1.OrganizationService/ListOrganizations': account('organization:read'),
  '/silo.org.v1.OrganizationService/UpdateOrganization': admin(
    'organization:write',
    'organization',
  ),
  '/silo.org.v1.OrganizationService/DeleteOrganization': owner(
    'organization:write',
    'organization',
  ),
  '/silo.org.v1.OrganizationService/ListMembers': member('organization:read', 'organization'),
  '/silo.org.v1.OrganizationService/UpdateMember': admin('organization:write', 'organization'),
  '/silo.org.v1.OrganizationService/RemoveMember': admin('organization:write', 'organization'),
  '/silo.org.v1.OrganizationService/LeaveOrganization': member(
    'organization:write',
    'organization',
  ),
  '/silo.org.v1.OrganizationService/InviteMember': admin('organization:write', 'organization'),
  '/silo.org.v1.OrganizationService/ListInvites': admin('organization:read', 'organization'),
  '/silo.org.v1.OrganizationService/DeleteInvite': admin('organization:write', 'organization'),
  '/silo.org.v1.OrganizationService/AcceptInvite': wholeAccount('organization:write'),

  '/silo.org.v1.ActivityService/ListActivity': member('activity:read', 'organization'),

  '/silo.project.v1.ProjectService/CreateProject': member('project:write', 'organization'),
  '/silo.project.v1.ProjectService/GetProject': member('project:read', 'project'),
  '/silo.project.v1.ProjectService/ListProjects': member('project:read', 'organization'),
  '/silo.project.v1.ProjectService/SearchProjects': account('project:read'),
  '/silo.project.v1.ProjectService/UpdateProject': admin('project:write', 'project'),
  '/silo.project.v1.ProjectService/DeleteProject': admin('project:write', 'project'),
  '/silo.project.v1.ProjectService/UndeleteProject': admin('project:write', 'project'),
  '/silo.project.v1.ProjectService/CreateRecommendedProjects': member(
    'project:write',
    'organization',
  ),
  '/silo.project.v1.ProjectService/ListMoveDestinations': admin('project:read', 'project'),
  '/silo.project.v1.ProjectService/PreviewMove': admin('project:read', 'project'),
  '/silo.project.v1.ProjectService/MoveProject': admin('project:write', 'project'),
  '/silo.project.v1.ProjectService/BatchMoveProjects': admin('project:write', 'organization'),
  '/silo.project.v1.ProjectService/GetMove': account('project:read'),
  '/silo.project.v1.ProjectService/ListMoves': member('project:read', 'organization'),
  '/silo.project.v1.ProjectService/UndoMove': account('project:write'),
  '/silo.project.v1.ProjectService/FinalizeMove': account('project:write'),

  '/silo.project.v1.EventService/CaptureEvents': { caller: 'project token' },
  '/silo.project.v1.EventService/QueryEvents': member('event:read', 'project'),
  '/silo.project.v1.EventService/CountEvents': member('event:read', 'project'),
  '/silo.project.v1.EventService/GetUsage': member('project:read', 'organization'),
  '/silo.project.v1.EventService/DeadTokenReport': member('token:read', 'project'),
  '/silo.project.v1.EventService/ExportEvents': member('event:read', 'project'),
  '/silo.project.v1.EventService/DeleteEvents': admin('event:write', 'project'),
  '/silo.project.v1.EventService/GetEventDeletion': member('event:read', 'project'),

  '/silo.project.v1.MigrationService/PreviewMigration': admin('project:read', 'project'),
  '/silo.project.v1.MigrationService/RequestMigration': admin('project:write', 'project'),
  '/silo.project.v1.MigrationService/AcceptMigration': admin('project:write', 'organization'),
  '/silo.project.v1.MigrationService/CancelMigration': admin('project:write', 'organization'),
  '/silo.project.v1.MigrationService/GetMigration': member('project:read', 'organization'),
  '/silo.project.v1.MigrationService/ListMigrations': member('project:read', 'organization'),
  '/silo.project.v1.MigrationService/WatchMigration': member('project:read', 'organization'),

  '/silo.token.v1.ProjectTokenService/GetProjectToken': member('token:read', 'project'),
  '/silo.token.v1.ProjectTokenService/RegenerateProjectToken': admin('token:write', 'project'),

  '/silo.token.v1.ApiKeyService/CreateApiKey': wholeAccount('key:write'),
  '/silo.token.v1.ApiKeyService/GetApiKey': account('key:read'),
  '/silo.token.v1.ApiKeyService/ListApiKeys': account('key:read'),
  '/silo.token.v1.ApiKeyService/UpdateApiKey': account('key:write'),
  '/silo.token.v1.ApiKeyService/DisableApiKey': account('key:write'),
  '/silo.token.v1.ApiKeyService/EnableApiKey': account('key:write'),
  '/silo.token.v1.ApiKeyService/RollApiKey': account('key:write'),
  '/silo.token.v1.ApiKeyService/DeleteApiKey': account('key:write'),

  '/silo.billing.v1.BillingService/ListPlans': anyone,
  '/silo.billing.v1.BillingService/GetSubscription': member('billing:read', 'organization'),
  '/silo.billing.v1.BillingService/UpdateBillingDetails': admin('billing:write', 'organization'),
  '/silo.billing.v1.BillingService/ChangePlan': admin('billing:write', 'organization'),

  '/silo.events.internal.v1.EventLogService/ReadEvents': allRoles,
  '/silo.events.internal.v1.EventLogService/GetHead': allRoles,

  '/silo.org.internal.v1.FactService/GetOrganizationFact': factReader,
  '/silo.org.internal.v1.FactService/GetMembershipFact': factReader,
  '/silo.org.internal.v1.DirectoryService/GetAccountMemberships': services,
  '/silo.org.internal.v1.DirectoryService/ListMembersOfTwo': services,
  '/silo.org.internal.v1.DirectoryService/DescribeOrganization': services,
  '/silo.org.internal.v1.StaffService/CreateAccount': staff,
  '/silo.org.internal.v1.StaffService/ChangeEmail': staff,

  '/silo.project.internal.v1.FactService/GetProjectFact': factReader,
  '/silo.project.internal.v1.SlotService/OpenSlots': services,
  '/silo.project.internal.v1.SlotService/TrySetLimit': services,
  '/silo.project.internal.v1.SlotService/TryCloseSlots': services,
  '/silo.project.internal.v1.SlotService/GetSlots': services,

  '/silo.project.internal.v1.MigrationStaffService/StartMigration': staff,
  '/silo.project.internal.v1.MigrationStaffService/RetryMigration': staff,
  '/silo.project.internal.v1.MigrationStaffService/SetMigrationRate': staff,
  '/silo.project.internal.v1.MigrationStaffService/CancelMigration': staff,
  '/silo.project.internal.v1.MigrationStaffService/RollbackMigration': staff,
  '/silo.project.internal.v1.MigrationStaffService/PurgeSource': staff,
  '/silo.project.internal.v1.MigrationStaffService/GetMigration': staff,
  '/silo.project.internal.v1.MigrationStaffService/ListMigrations': staff,
  '/silo.project.internal.v1.MigrationStaffService/WatchMigration': staff,
  '/silo.project.internal.v1.MigrationPeerService/PeekDestination': otherRegions,
  '/silo.project.internal.v1.MigrationPeerService/GetOffer': otherRegions,
  '/silo.project.internal.v1.MigrationPeerService/DescribeProject': otherRegions,
  '/silo.project.internal.v1.MigrationPeerService/NoteProgress': otherRegions,
  '/silo.project.internal.v1.MigrationPeerService/CancelOffer': otherRegions,
  '/silo.project.internal.v1.MigrationPeerService/OfferRollback': otherRegions,
  '/silo.project.internal.v1.MigrationPeerService/PullEvents': otherRegions,
  '/silo.project.internal.v1.MigrationPeerService/ReadRange': otherRegions,
  '/silo.project.internal.v1.MigrationPeerService/BeginCutover': otherRegions,
  '/silo.project.internal.v1.MigrationPeerService/CommitCutover': otherRegions,
  '/silo.project.internal.v1.MigrationPeerService/AbortCutover': otherRegions,
  '/silo.project.internal.v1.MigrationPeerService/HashRanges': otherRegions,
  '/silo.project.internal.v1.MigrationPeerService/ReadDeletions': otherRegions,
  '/silo.project.internal.v1.MigrationPeerService/NotePurge': otherRegions,
  '/silo.project.internal.v1.MigrationPeerService/ForwardCapture': otherRegionsAndEdges,
  '/silo.project.internal.v1.MigrationPeerService/LocateHere': otherRegionsAndEdges,
  '/silo.project.internal.v1.RegionDirectoryService/LocateProject': allRoles,

  '/silo.token.internal.v1.FactService/GetTokenFact': factReader,
  '/silo.token.internal.v1.FactService/GetKeyFact': factReader,
  '/silo.token.internal.v1.DirectoryService/ListLiveKeys': services,
  '/silo.token.internal.v1.DirectoryService/FindTokenProjects': services,
  '/silo.token.internal.v1.AccessService/VerifyToken': allRoles,
  '/silo.token.internal.v1.AccessService/Authorize': allRoles,
  '/silo.token.internal.v1.RegistryService/Acquire': factReader,
  '/silo.token.internal.v1.RegistryService/Renew': factReader,
  '/silo.token.internal.v1.RegistryService/Release': factReader,
  '/silo.token.internal.v1.RegistryService/ReportKeyUse': factReader,
  '/silo.token.internal.v1.RegistryService/RaiseRequirement': services,
  '/silo.token.internal.v1.RegistryService/AwaitBarrier': services,
  '/silo.token.internal.v1.SecretService/MakeProjectToken': services,
  '/silo.token.internal.v1.SecretService/StoreApiKey': services,
  '/silo.token.internal.v1.SecretService/PurgeProjectToken': services,
  '/silo.token.internal.v1.SecretService/EndProjectTokenAdoption': services,
  '/silo.token.internal.v1.SecretService/ReadProjectToken': services,
  '/silo.token.internal.v1.SecretService/AdoptProjectToken': services,
  '/silo.token.internal.v1.SecretService/RetireProjectToken': services,
  '/silo.token.internal.v1.StaffService/IssueApiKey': staff,

  '/silo.billing.internal.v1.SubscriptionService/OpenSubscription': services,
  '/silo.billing.internal.v1.SubscriptionService/CloseSubscription': services,
};
