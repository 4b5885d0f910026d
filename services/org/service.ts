import { lead } from '@silo/log/leader.ts';
import { DirectoryServiceService } from '@silo/protos/gen/silo/org/internal/v1/directory_service.ts';
import { FactServiceService } from '@silo/protos/gen/silo/org/internal/v1/fact_service.ts';
import { StaffServiceService } from '@silo/protos/gen/silo/org/internal/v1/staff_service.ts';
import { AccountServiceService } from '@silo/protos/gen/silo/org/v1/account_service.ts';
import { ActivityServiceService } from '@silo/protos/gen/silo/org/v1/activity_service.ts';
import { OrganizationServiceService } from '@silo/protos/gen/silo/org/v1/organization_service.ts';
import { type Mounted, mount } from '@silo/rpc/mount.ts';
import type { ServiceDefinition } from '@silo/service/service-definition.ts';
import { ulid } from 'ulid';
import { createAcceptInvite } from './handlers/accept-invite.ts';
import { createChangeEmail } from './handlers/change-email.ts';
import { createCreateAccount, createStaffCreateAccount } from './handlers/create-account.ts';
import { createCreateOrganization } from './handlers/create-organization.ts';
import { createDeleteInvite } from './handlers/delete-invite.ts';
import { createDeleteOrganization } from './handlers/delete-organization.ts';
import type { Dependencies } from './handlers/dependencies.ts';
import {
  createGetMembershipFact,
  createGetOrganizationFact,
  createOrgFills,
  type OrgFills,
} from './handlers/facts.ts';
import { createGetAccount } from './handlers/get-account.ts';
import { createGetAccountMemberships } from './handlers/get-account-memberships.ts';
import { createGetOrganization } from './handlers/get-organization.ts';
import { createInviteMember } from './handlers/invite-member.ts';
import { createLeaveOrganization } from './handlers/leave-organization.ts';
import { createListActivity } from './handlers/list-activity.ts';
import { createListInvites } from './handlers/list-invites.ts';
import { createListMembers } from './handlers/list-members.ts';
import { createListMembersOfTwo } from './handlers/list-members-of-two.ts';
import { createListOrganizations } from './handlers/list-organizations.ts';
import { createRemoveMember } from './handlers/remove-member.ts';
import { createUpdateAccount } from './handlers/update-account.ts';
import { createUpdateMember } from './handlers/update-member.ts';
import { createUpdateOrganization } from './handlers/update-organization.ts';
import { createFollower, sourcesOf } from './loops/activity-follower.ts';
import { defineSagas } from './sagas/definitions.ts';
import { createStores, setUpStores } from './store/set-up.ts';

/** Accounts, organizations, memberships, invites and the activity log. */
export const orgService: ServiceDefinition = {
  name: 'org',

  setUp: setUpStores,

  fills: (db) => createOrgFills(createStores(db)),

  build(kit) {
    const { config, db, eventLog, access, peers, clock, log } = kit;
    const { region, signup } = config;
    const stores = createStores(db);
    const definitions = defineSagas(stores, peers);
    const sagas = kit.createSagas(Object.values(definitions));
    const sources = sourcesOf(eventLog, peers);
    const progress = kit.watchProgress('activity');
    const follower = createFollower({
      activity: stores.activity,
      eventLog,
      sources,
      log,
      progress,
    });
    const base = { stores, eventLog, access, clock, region, signup };
    const dependencies = { ...base, sagas, definitions, follower };
    const owner = ulid().toLowerCase();
    return {
      public: publicServices(dependencies),
      internal: internalServices(dependencies, createOrgFills(stores)),
      // One process follows; the others catch up when they are asked.
      loops: [
        (signal) =>
          lead({ db, name: 'activity', owner, signal, log, clock }, (leadership) =>
            follower.follow(leadership.signal),
          ),
      ],
    };
  },
};

function publicServices(dependencies: Dependencies): Mounted[] {
  return [
    mount(AccountServiceService, {
      createAccount: createCreateAccount(dependencies),
      getAccount: createGetAccount(dependencies),
      updateAccount: createUpdateAccount(dependencies),
    }),
    mount(OrganizationServiceService, {
      createOrganization: createCreateOrganization(dependencies),
      getOrganization: createGetOrganization(dependencies),
      listOrganizations: createListOrganizations(dependencies),
      updateOrganization: createUpdateOrganization(dependencies),
      deleteOrganization: createDeleteOrganization(dependencies),
      listMembers: createListMembers(dependencies),
      updateMember: createUpdateMember(dependencies),
      removeMember: createRemoveMember(dependencies),
      leaveOrganization: createLeaveOrganization(dependencies),
      inviteMember: createInviteMember(dependencies),
      listInvites: createListInvites(dependencies),
      deleteInvite: createDeleteInvite(dependencies),
      acceptInvite: createAcceptInvite(dependencies),
    }),
    mount(ActivityServiceService, { listActivity: createListActivity(dependencies) }),
  ];
}

function internalServices(dependencies: Dependencies, fills: OrgFills): Mounted[] {
  return [
    mount(FactServiceService, {
      getOrganizationFact: createGetOrganizationFact(fills),
      getMembershipFact: createGetMembershipFact(fills),
    }),
    mount(DirectoryServiceService, {
      getAccountMemberships: createGetAccountMemberships(dependencies),
      listMembersOfTwo: createListMembersOfTwo(dependencies),
    }),
    mount(StaffServiceService, {
      createAccount: createStaffCreateAccount(dependencies),
      changeEmail: createChangeEmail(dependencies),
    }),
  ];
}
