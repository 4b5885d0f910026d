import { lead } from '@silo/log/leader.ts';
import { DirectoryServiceService } from '@silo/protos/gen/silo/org/internal/v1/directory_service.ts';
import { FactServiceService } from '@silo/protos/gen/silo/org/internal/v1/fact_service.ts';
import { StaffServiceService } from '@silo/protos/gen/silo/org/internal/v1/staff_service.ts';
import { AccountServiceService } from '@silo/protos/gen/silo/org/v1/account_service.ts';
import { ActivityServiceService } from '@silo/protos/gen/silo/org/v1/activity_service.ts';
import { OrganizationServiceService } from '@silo/protos/gen/silo/org/v1/organization_service.ts';
import { type Mounted, mount } from '@silo/rpc/mount.ts';
import { createReading } from '@silo/rpc/reading.ts';
import type { ServiceDefinition } from '@silo/service/service-definition.ts';
import { ulid } from 'ulid';
import { acceptInvite } from './handlers/accept-invite.ts';
import { createAccount } from './handlers/create-account.ts';
import { createOrganization } from './handlers/create-organization.ts';
import { deleteInvite } from './handlers/delete-invite.ts';
import { deleteOrganization } from './handlers/delete-organization.ts';
import type { Dependencies } from './handlers/dependencies.ts';
import { getAccount } from './handlers/get-account.ts';
import { getOrganization } from './handlers/get-organization.ts';
import {
  describeOrganization,
  getAccountMemberships,
  listMembersOfTwo,
} from './handlers/internal/directory.ts';
import { getMembershipFact, getOrganizationFact } from './handlers/internal/facts.ts';
import { changeEmail, createAccount as staffCreateAccount } from './handlers/internal/staff.ts';
import { inviteMember } from './handlers/invite-member.ts';
import { leaveOrganization } from './handlers/leave-organization.ts';
import { listActivity } from './handlers/list-activity.ts';
import { listInvites } from './handlers/list-invites.ts';
import { listMembers } from './handlers/list-members.ts';
import { listOrganizations } from './handlers/list-organizations.ts';
import { removeMember } from './handlers/remove-member.ts';
import { updateAccount } from './handlers/update-account.ts';
import { updateMember } from './handlers/update-member.ts';
import { updateOrganization } from './handlers/update-organization.ts';
import { createFollower, followedLogs } from './loops/activity-follower.ts';
import { defineSagas } from './sagas/definitions.ts';
import { createOrgFactReader } from './store/fact-reader.ts';
import { createStores, storeMigrations } from './store/set-up.ts';

/** Accounts, organizations, memberships, invites and the activity log. */
export const orgService: ServiceDefinition = {
  name: 'org',

  migrations: storeMigrations,

  factReader: (db) => createOrgFactReader(createStores(db)),

  build(kit) {
    const { config, db, eventLog, access, peers, clock, log } = kit;
    const { region, signup } = config;
    const stores = createStores(db);
    const definitions = defineSagas(stores, peers);
    const sagas = kit.createSagas(Object.values(definitions));
    const logs = followedLogs(eventLog, peers);
    const progress = kit.watchProgress('activity');
    const follower = createFollower({
      activity: stores.activity,
      eventLog,
      logs,
      log,
      progress,
    });
    const factReader = createOrgFactReader(stores);
    const base = { stores, factReader, eventLog, access, clock, region, signup };
    const reading = createReading('large_reads');
    const dependencies = { ...base, sagas, definitions, follower, reading };
    const owner = ulid().toLowerCase();
    return {
      public: publicServices(dependencies),
      internal: internalServices(dependencies),
      // One process follows the logs. The other processes catch up when a request needs it.
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
    mount(
      AccountServiceService,
      {
        createAccount,
        getAccount,
        updateAccount,
      },
      dependencies,
    ),
    mount(
      OrganizationServiceService,
      {
        createOrganization,
        getOrganization,
        listOrganizations,
        updateOrganization,
        deleteOrganization,
        listMembers,
        updateMember,
        removeMember,
        leaveOrganization,
        inviteMember,
        listInvites,
        deleteInvite,
        acceptInvite,
      },
      dependencies,
    ),
    mount(ActivityServiceService, { listActivity }, dependencies),
  ];
}

function internalServices(dependencies: Dependencies): Mounted[] {
  return [
    mount(
      FactServiceService,
      {
        getOrganizationFact,
        getMembershipFact,
      },
      dependencies,
    ),
    mount(
      DirectoryServiceService,
      {
        describeOrganization,
        getAccountMemberships,
        listMembersOfTwo,
      },
      dependencies,
    ),
    mount(
      StaffServiceService,
      {
        createAccount: staffCreateAccount,
        changeEmail,
      },
      dependencies,
    ),
  ];
}
