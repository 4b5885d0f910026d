import { randomUUID } from 'node:crypto';
import { Plan } from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { Account } from '@silo/protos/gen/silo/org/v1/account_service.ts';
import { Member, Organization } from '@silo/protos/gen/silo/org/v1/organization.ts';
import { Project } from '@silo/protos/gen/silo/project/v1/project.ts';
import { createKey, join, keyMessage } from '../authorization/world.ts';
import type { TestSilo } from '../harness/silo.ts';
import {
  billingDetails,
  choosePlan,
  createOrganization,
  createProject,
  moveProject,
  present,
} from './support.ts';

/** One request, ready to be made: with this id, and in another form under the same id. */
type Prepared = {
  call(requestId: string): Promise<unknown>;
  other(requestId: string): Promise<unknown>;
};

/** A mutation: how to get to where it can be made, and the events that it must cause, once. */
type Mutation = { prepare(silo: TestSilo): Promise<Prepared>; events: string[] };

const { LEVEL_ADMIN, LEVEL_MEMBER, LEVEL_OWNER } = Level;
const etag = '';
const updateMask = undefined;
const email = () => `${randomUUID()}@example.com`;

/** A request that differs by one field only: the first value's, then the second's. */
function either<Value>(
  values: [Value, Value],
  call: (value: Value, requestId: string) => Promise<unknown>,
): Prepared {
  const [first, second] = values;
  return {
    call: (requestId) => call(first, requestId),
    other: (requestId) => call(second, requestId),
  };
}

const newAccount = () => ({ email: email(), displayName: 'New' });

const foundingEvents = [
  'billing.subscription_created',
  'org.member_added',
  'org.organization_created',
  'project.created',
  'project.slots_changed',
  'token.created',
];

const signingUpEvents = [...foundingEvents, 'org.account_created', 'token.key_created'];

async function team(silo: TestSilo, level: Level = LEVEL_MEMBER) {
  const [ada, bob] = await Promise.all([silo.signUp('Ada'), silo.signUp('Bob')]);
  await join(ada, bob, level);
  return { ada, bob, organizationId: ada.organization.id };
}

async function invited(silo: TestSilo) {
  const [ada, bob] = await Promise.all([silo.signUp('Ada'), silo.signUp('Bob')]);
  const organizationId = ada.organization.id;
  const { invite, code } = await ada.api.organizations.inviteMember({
    organizationId,
    email: bob.account.email,
    level: LEVEL_MEMBER,
    requestId: randomUUID(),
  });
  return { ada, bob, organizationId, inviteId: present(invite).id, code };
}

async function upgraded(silo: TestSilo) {
  const ada = await silo.signUp('Ada');
  const organizationId = ada.organization.id;
  await choosePlan(ada.api, organizationId, Plan.PLAN_SCALE);
  return { ...ada, organizationId };
}

/** Two moves between organizations of one person. */
async function moved(silo: TestSilo) {
  const { organizationId, ...ada } = await upgraded(silo);
  const { organizationId: destinationId } = await createOrganization(ada.api);
  await choosePlan(ada.api, destinationId);
  const move = async () => {
    const { id } = await createProject(ada.api, organizationId);
    return present((await moveProject(ada.api, id, destinationId)).move).id;
  };
  const moveIds: [string, string] = [await move(), await move()];
  return { ...ada, moveIds };
}

async function withKey(silo: TestSilo) {
  const ada = await silo.signUp('Ada');
  const { apiKey } = await createKey(ada.api, { scopes: ['*'] });
  return { ...ada, keyId: apiKey.id };
}

/** Every mutation of the public API and of staff, by its path. */
export const mutations: Record<string, Mutation> = {
  '/silo.org.v1.AccountService/CreateAccount': {
    events: signingUpEvents,
    prepare: async (silo) => {
      const account = newAccount();
      return either(['One', 'Other'], (organizationName, requestId) =>
        silo.as().accounts.createAccount({ ...account, organizationName, requestId }),
      );
    },
  },
  '/silo.org.v1.AccountService/UpdateAccount': {
    events: ['org.account_updated'],
    prepare: async (silo) => {
      const { api } = await silo.signUp();
      return either(['One', 'Other'], (displayName, requestId) => {
        const account = Account.fromPartial({ displayName });
        return api.accounts.updateAccount({ account, updateMask, requestId });
      });
    },
  },
  '/silo.org.v1.OrganizationService/CreateOrganization': {
    events: foundingEvents,
    prepare: async (silo) => {
      const { api } = await silo.signUp();
      return either(['One', 'Other'], (name, requestId) =>
        api.organizations.createOrganization({ name, requestId }),
      );
    },
  },
  '/silo.org.v1.OrganizationService/UpdateOrganization': {
    events: ['org.organization_updated'],
    prepare: async (silo) => {
      const { api, organization: own } = await silo.signUp();
      return either(['One', 'Other'], (name, requestId) => {
        const organization = Organization.fromPartial({ id: own.id, name });
        return api.organizations.updateOrganization({ organization, updateMask, requestId });
      });
    },
  },
  '/silo.org.v1.OrganizationService/DeleteOrganization': {
    events: ['org.organization_deleted', 'project.slots_changed'],
    prepare: async (silo) => {
      const { api } = await silo.signUp();
      const { organizationId, projectId } = await createOrganization(api);
      await api.projects.deleteProject({ projectId, etag, requestId: '' });
      const read = await api.organizations.getOrganization({ organizationId });
      return either(['', present(read.organization).etag], (etag, requestId) =>
        api.organizations.deleteOrganization({ organizationId, etag, requestId }),
      );
    },
  },
  '/silo.org.v1.OrganizationService/UpdateMember': {
    events: ['org.member_updated'],
    prepare: async (silo) => {
      const { bob, organizationId } = await team(silo, LEVEL_OWNER);
      // Bob steps down, so that a repeat comes from one who might not do it any more.
      return either([LEVEL_MEMBER, LEVEL_ADMIN], (level, requestId) => {
        const which = { organizationId, accountId: bob.account.id };
        const member = Member.fromPartial({ ...which, level });
        return bob.api.organizations.updateMember({ member, updateMask, requestId });
      });
    },
  },
  '/silo.org.v1.OrganizationService/RemoveMember': {
    events: ['org.member_removed'],
    prepare: async (silo) => {
      const { ada, bob, organizationId } = await team(silo);
      const accountId = bob.account.id;
      return either(['', 'other'], (etag, requestId) =>
        ada.api.organizations.removeMember({ organizationId, accountId, etag, requestId }),
      );
    },
  },
  '/silo.org.v1.OrganizationService/LeaveOrganization': {
    events: ['org.member_removed'],
    prepare: async (silo) => {
      const { bob, organizationId } = await team(silo);
      const own = bob.organization.id;
      return either([organizationId, own], (organizationId, requestId) =>
        bob.api.organizations.leaveOrganization({ organizationId, requestId }),
      );
    },
  },
  '/silo.org.v1.OrganizationService/InviteMember': {
    events: ['org.invite_created'],
    prepare: async (silo) => {
      const { api, organization } = await silo.signUp();
      const to = { organizationId: organization.id, email: email() };
      return either([LEVEL_MEMBER, LEVEL_ADMIN], (level, requestId) =>
        api.organizations.inviteMember({ ...to, level, requestId }),
      );
    },
  },
  '/silo.org.v1.OrganizationService/DeleteInvite': {
    events: ['org.invite_deleted'],
    prepare: async (silo) => {
      const { ada, organizationId, inviteId } = await invited(silo);
      return either([inviteId, `inv_${'0'.repeat(26)}`], (inviteId, requestId) =>
        ada.api.organizations.deleteInvite({ organizationId, inviteId, requestId }),
      );
    },
  },
  '/silo.org.v1.OrganizationService/AcceptInvite': {
    events: ['org.invite_accepted', 'org.member_added'],
    prepare: async (silo) => {
      const { bob, code } = await invited(silo);
      return either([code, 'another'], (code, requestId) =>
        bob.api.organizations.acceptInvite({ code, requestId }),
      );
    },
  },
  '/silo.org.internal.v1.StaffService/CreateAccount': {
    events: signingUpEvents,
    prepare: async (silo) => {
      const account = newAccount();
      return either(['One', 'Other'], (organizationName, requestId) =>
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
      return either([email(), email()], (email, requestId) =>
        silo.internal().org.staff.changeEmail({ accountId, email, requestId }),
      );
    },
  },

  '/silo.project.v1.ProjectService/CreateProject': {
    events: ['project.created', 'token.created'],
    prepare: async (silo) => {
      const { api, organizationId } = await upgraded(silo);
      const settings = undefined;
      return either(['One', 'Other'], (name, requestId) =>
        api.projects.createProject({ organizationId, name, settings, requestId }),
      );
    },
  },
  '/silo.project.v1.ProjectService/UpdateProject': {
    events: ['project.updated'],
    prepare: async (silo) => {
      const { api, projectId: id } = await silo.signUp();
      return either(['One', 'Other'], (name, requestId) => {
        const project = Project.fromPartial({ id, name });
        return api.projects.updateProject({ project, updateMask, requestId });
      });
    },
  },
  '/silo.project.v1.ProjectService/DeleteProject': {
    events: ['project.deleted'],
    prepare: async (silo) => {
      const { api, projectId } = await silo.signUp();
      return either(['', 'other'], (etag, requestId) =>
        api.projects.deleteProject({ projectId, etag, requestId }),
      );
    },
  },
  '/silo.project.v1.ProjectService/CreateRecommendedProjects': {
    events: ['project.created', 'token.created'].flatMap((event) => [event, event, event]),
    prepare: async (silo) => {
      const { api, organizationId } = await upgraded(silo);
      const { organizationId: elsewhere } = await createOrganization(api);
      return either([organizationId, elsewhere], (organizationId, requestId) =>
        api.projects.createRecommendedProjects({ organizationId, requestId }),
      );
    },
  },
  '/silo.project.v1.ProjectService/MoveProject': {
    events: ['project.moved'],
    prepare: async (silo) => {
      const { organizationId, ...ada } = await upgraded(silo);
      const { id: projectId } = await createProject(ada.api, organizationId);
      // A member there, so that after the move it may not be moved again.
      const bob = await upgraded(silo);
      await join(bob, ada, LEVEL_MEMBER);
      const move = { projectId, destinationOrganizationId: bob.organizationId };
      return either(['', 'other'], (etag, requestId) =>
        ada.api.projects.moveProject({ ...move, etag, requestId, planFingerprint: '' }),
      );
    },
  },
  '/silo.project.v1.ProjectService/BatchMoveProjects': {
    events: ['project.moved', 'project.moved'],
    prepare: async (silo) => {
      const { api, organizationId: sourceOrganizationId } = await upgraded(silo);
      const [one, two] = [
        await createProject(api, sourceOrganizationId),
        await createProject(api, sourceOrganizationId),
      ];
      const { organizationId: destinationOrganizationId } = await createOrganization(api);
      await choosePlan(api, destinationOrganizationId);
      const ends = { sourceOrganizationId, destinationOrganizationId, planFingerprint: '' };
      return either([[one.id, two.id], [two.id]], (projectIds, requestId) =>
        api.projects.batchMoveProjects({ ...ends, projectIds, requestId }),
      );
    },
  },
  '/silo.project.v1.ProjectService/UndoMove': {
    events: ['project.moved'],
    prepare: async (silo) => {
      const { api, moveIds } = await moved(silo);
      return either(moveIds, (moveId, requestId) => api.projects.undoMove({ moveId, requestId }));
    },
  },
  '/silo.project.v1.ProjectService/FinalizeMove': {
    events: ['project.move_finalized'],
    prepare: async (silo) => {
      const { api, moveIds } = await moved(silo);
      return either(moveIds, (moveId, requestId) =>
        api.projects.finalizeMove({ moveId, requestId }),
      );
    },
  },
  '/silo.project.v1.ProjectService/UndeleteProject': {
    events: ['project.undeleted'],
    prepare: async (silo) => {
      const { api, projectId, organizationId } = await upgraded(silo);
      const other = await createProject(api, organizationId);
      await api.projects.deleteProject({ projectId, etag, requestId: '' });
      return either([projectId, other.id], (projectId, requestId) =>
        api.projects.undeleteProject({ projectId, requestId }),
      );
    },
  },

  '/silo.token.v1.ProjectTokenService/RegenerateProjectToken': {
    events: ['token.created', 'token.revoked'],
    prepare: async (silo) => {
      const { api, projectId } = await silo.signUp();
      return either(['', '0123456789ab'], (expectedFingerprint, requestId) =>
        api.projectTokens.regenerateProjectToken({ projectId, expectedFingerprint, requestId }),
      );
    },
  },
  '/silo.token.v1.ApiKeyService/CreateApiKey': {
    events: ['token.key_created'],
    prepare: async (silo) => {
      const { api } = await silo.signUp();
      return either(['One', 'Other'], (name, requestId) =>
        api.apiKeys.createApiKey({ apiKey: keyMessage({ name, scopes: ['*'] }), requestId }),
      );
    },
  },
  '/silo.token.v1.ApiKeyService/UpdateApiKey': {
    events: ['token.key_updated'],
    prepare: async (silo) => {
      const { api, keyId: id } = await withKey(silo);
      return either(['One', 'Other'], (name, requestId) =>
        api.apiKeys.updateApiKey({ apiKey: keyMessage({ id, name }), updateMask, requestId }),
      );
    },
  },
  '/silo.token.v1.ApiKeyService/DisableApiKey': {
    events: ['token.key_updated'],
    prepare: async (silo) => {
      const { api, keyId } = await withKey(silo);
      return either(['', 'other'], (etag, requestId) =>
        api.apiKeys.disableApiKey({ keyId, etag, requestId }),
      );
    },
  },
  '/silo.token.v1.ApiKeyService/EnableApiKey': {
    events: ['token.key_updated'],
    prepare: async (silo) => {
      const { api, keyId } = await withKey(silo);
      await api.apiKeys.disableApiKey({ keyId, etag, requestId: '' });
      return either(['', 'other'], (etag, requestId) =>
        api.apiKeys.enableApiKey({ keyId, etag, requestId }),
      );
    },
  },
  '/silo.token.v1.ApiKeyService/RollApiKey': {
    events: ['token.key_revoked'],
    prepare: async (silo) => {
      const { api, keyId } = await withKey(silo);
      return either([undefined, { seconds: 1, nanos: 0 }], (overlap, requestId) =>
        api.apiKeys.rollApiKey({ keyId, overlap, etag, requestId }),
      );
    },
  },
  '/silo.token.v1.ApiKeyService/DeleteApiKey': {
    events: ['token.key_revoked'],
    prepare: async (silo) => {
      const { api, keyId } = await withKey(silo);
      return either(['', 'other'], (etag, requestId) =>
        api.apiKeys.deleteApiKey({ keyId, etag, requestId }),
      );
    },
  },
  '/silo.token.internal.v1.StaffService/IssueApiKey': {
    events: ['token.key_created'],
    prepare: async (silo) => {
      const [ada, bob] = await Promise.all([silo.signUp(), silo.signUp()]);
      return either([ada.account.id, bob.account.id], (accountId, requestId) =>
        silo.internal().token.staff.issueApiKey({ accountId, requestId }),
      );
    },
  },

  '/silo.billing.v1.BillingService/UpdateBillingDetails': {
    events: ['billing.billing_details_updated'],
    prepare: async (silo) => {
      const { api, organization } = await silo.signUp();
      const unconditional = { organizationId: organization.id, etag };
      return either(['One', 'Other'], (companyName, requestId) =>
        api.billing.updateBillingDetails({
          ...unconditional,
          billingDetails: { ...billingDetails, companyName },
          requestId,
        }),
      );
    },
  },
  '/silo.billing.v1.BillingService/ChangePlan': {
    events: ['billing.plan_changed', 'project.slots_changed'],
    prepare: async (silo) => {
      const { api, organizationId } = await upgraded(silo);
      return either([Plan.PLAN_FREE, Plan.PLAN_PAY_AS_YOU_GO], (plan, requestId) =>
        api.billing.changePlan({ organizationId, plan, etag, requestId }),
      );
    },
  },
};
