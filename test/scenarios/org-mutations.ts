import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { Account } from '@silo/protos/gen/silo/org/v1/account_service.ts';
import { Member, Organization } from '@silo/protos/gen/silo/org/v1/organization.ts';
import {
  either,
  eitherOf,
  email,
  etag,
  foundingEvents,
  invited,
  type Mutation,
  newAccount,
  signingUpEvents,
  team,
  updateMask,
} from './mutation-support.ts';
import { createOrganization, present } from './support.ts';

const { LEVEL_ADMIN, LEVEL_MEMBER, LEVEL_OWNER } = Level;

/** Every mutation of the public API and of staff of org, by its path. */
export const orgMutations: Record<string, Mutation> = {
  '/silo.org.v1.AccountService/CreateAccount': {
    events: signingUpEvents,
    prepare: async (silo) => {
      const account = newAccount();
      return eitherOf(['One', 'Other'], (organizationName, requestId) =>
        silo.as().accounts.createAccount({ ...account, organizationName, requestId }),
      );
    },
  },
  '/silo.org.v1.AccountService/UpdateAccount': {
    events: ['org.account_updated'],
    prepare: async (silo) => {
      const ada = await silo.signUp();
      return either(ada, ['One', 'Other'], (displayName, requestId, api) => {
        const account = Account.fromPartial({ displayName });
        return api.accounts.updateAccount({ account, updateMask, requestId });
      });
    },
  },
  '/silo.org.v1.OrganizationService/CreateOrganization': {
    events: foundingEvents,
    prepare: async (silo) => {
      const ada = await silo.signUp();
      return either(ada, ['One', 'Other'], (name, requestId, api) =>
        api.organizations.createOrganization({ name, requestId }),
      );
    },
  },
  '/silo.org.v1.OrganizationService/UpdateOrganization': {
    events: ['org.organization_updated'],
    prepare: async (silo) => {
      const ada = await silo.signUp();
      const { organization: own } = ada;
      return either(
        ada,
        ['One', 'Other'],
        (name, requestId, api) => {
          const organization = Organization.fromPartial({ id: own.id, name });
          return api.organizations.updateOrganization({ organization, updateMask, requestId });
        },
        { organizationId: own.id },
      );
    },
  },
  '/silo.org.v1.OrganizationService/DeleteOrganization': {
    events: ['org.organization_deleted', 'project.slots_changed'],
    prepare: async (silo) => {
      const ada = await silo.signUp();
      const { api } = ada;
      const { organizationId, projectId } = await createOrganization(api);
      await api.projects.deleteProject({ projectId, etag, requestId: '' });
      const read = await api.organizations.getOrganization({ organizationId });
      return either(ada, ['', present(read.organization).etag], (etag, requestId, api) =>
        api.organizations.deleteOrganization({
          organizationId,
          etag,
          requestId,
          endDeletedProjects: true,
        }),
      );
    },
  },
  '/silo.org.v1.OrganizationService/UpdateMember': {
    events: ['org.member_updated'],
    prepare: async (silo) => {
      const { ada, bob, organizationId } = await team(silo, LEVEL_OWNER);
      // Bob steps down, so that a repeat comes from a caller that could no longer make the change.
      return either(
        bob,
        [LEVEL_MEMBER, LEVEL_ADMIN],
        (level, requestId, api) => {
          const which = { organizationId, accountId: bob.account.id };
          const member = Member.fromPartial({ ...which, level });
          return api.organizations.updateMember({ member, updateMask, requestId });
        },
        { organizationId, owner: ada },
      );
    },
  },
  '/silo.org.v1.OrganizationService/RemoveMember': {
    events: ['org.member_removed'],
    prepare: async (silo) => {
      const { ada, bob, organizationId } = await team(silo);
      const accountId = bob.account.id;
      return either(
        ada,
        ['', 'other'],
        (etag, requestId, api) =>
          api.organizations.removeMember({ organizationId, accountId, etag, requestId }),
        { organizationId },
      );
    },
  },
  '/silo.org.v1.OrganizationService/LeaveOrganization': {
    events: ['org.member_removed'],
    prepare: async (silo) => {
      const { bob, organizationId } = await team(silo);
      const own = bob.organization.id;
      return either(bob, [organizationId, own], (organizationId, requestId, api) =>
        api.organizations.leaveOrganization({ organizationId, requestId }),
      );
    },
  },
  '/silo.org.v1.OrganizationService/InviteMember': {
    events: ['org.invite_created'],
    prepare: async (silo) => {
      const ada = await silo.signUp();
      const { organization } = ada;
      const to = { organizationId: organization.id, email: email() };
      return either(
        ada,
        [LEVEL_MEMBER, LEVEL_ADMIN],
        (level, requestId, api) => api.organizations.inviteMember({ ...to, level, requestId }),
        { organizationId: organization.id },
      );
    },
  },
  '/silo.org.v1.OrganizationService/DeleteInvite': {
    events: ['org.invite_deleted'],
    prepare: async (silo) => {
      const { ada, organizationId, inviteId } = await invited(silo);
      return either(
        ada,
        [inviteId, `inv_${'0'.repeat(26)}`],
        (inviteId, requestId, api) =>
          api.organizations.deleteInvite({ organizationId, inviteId, requestId }),
        { organizationId },
      );
    },
  },
  '/silo.org.v1.OrganizationService/AcceptInvite': {
    events: ['org.invite_accepted', 'org.member_added'],
    prepare: async (silo) => {
      const { ada, bob, organizationId, code } = await invited(silo);
      return either(
        bob,
        [code, 'another'],
        (code, requestId, api) => api.organizations.acceptInvite({ code, requestId }),
        { organizationId, owner: ada },
      );
    },
  },
  '/silo.org.internal.v1.StaffService/CreateAccount': {
    events: signingUpEvents,
    prepare: async (silo) => {
      const account = newAccount();
      return eitherOf(['One', 'Other'], (organizationName, requestId) =>
        silo.internal().org.staff.createAccount({
          account: { ...account, organizationName, requestId },
        }),
      );
    },
  },
  '/silo.org.internal.v1.StaffService/ChangeEmail': {
    events: ['org.account_updated'],
    prepare: async (silo) => {
      const accountId = (await silo.signUp()).account.id;
      return eitherOf([email(), email()], (email, requestId) =>
        silo.internal().org.staff.changeEmail({ accountId, email, requestId }),
      );
    },
  },
};
