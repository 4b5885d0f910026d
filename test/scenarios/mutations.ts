import { randomUUID } from 'node:crypto';
import { Plan } from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { Account } from '@silo/protos/gen/silo/org/v1/account_service.ts';
import { Member, Organization } from '@silo/protos/gen/silo/org/v1/organization.ts';
import { Project } from '@silo/protos/gen/silo/project/v1/project.ts';
import { createKey, join, keyMessage } from '../authorization/world.ts';
import type { PublicApi, SignedUp } from '../harness/clients.ts';
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
  /** Whose request it is; undefined where no key calls. */
  by: Person | undefined;
  /** `api` is that of the caller's first key unless another is given. */
  call(requestId: string, api?: PublicApi): Promise<unknown>;
  other(requestId: string): Promise<unknown>;
  /** The organization by which the caller may, while there. */
  organizationId?: string | undefined;
  /** An owner of it; unless given, the caller. */
  owner?: Person | undefined;
};

type Person = Pick<SignedUp, 'account' | 'api'>;

/** A mutation: how to get to where it can be made, and the events that it must cause, once. */
type Mutation = { prepare(silo: TestSilo): Promise<Prepared>; events: string[] };

const { LEVEL_ADMIN, LEVEL_MEMBER, LEVEL_OWNER } = Level;
const etag = '';
const updateMask = undefined;
const email = () => `${randomUUID()}@example.com`;

/** A request that differs by one field only: the first value's, then the second's. */
function either<Value>(
  by: Person,
  values: [Value, Value],
  call: (value: Value, requestId: string, api: PublicApi) => Promise<unknown>,
  where: Pick<Prepared, 'organizationId' | 'owner'> = {},
): Prepared {
  const [first, second] = values;
  return {
    ...where,
    by,
    call: (requestId, api = by.api) => call(first, requestId, api),
    other: (requestId) => call(second, requestId, by.api),
  };
}

/** As `either`, of a request that no key makes. */
function eitherOf<Value>(
  values: [Value, Value],
  call: (value: Value, requestId: string) => Promise<unknown>,
): Prepared {
  const [first, second] = values;
  return {
    by: undefined,
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
  return { ...ada, destinationId, moveIds };
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
      // Bob steps down, so that a repeat comes from one who might not do it any more.
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

  '/silo.project.v1.ProjectService/CreateProject': {
    events: ['project.created', 'token.created'],
    prepare: async (silo) => {
      const ada = await upgraded(silo);
      const { organizationId } = ada;
      const settings = undefined;
      return either(
        ada,
        ['One', 'Other'],
        (name, requestId, api) =>
          api.projects.createProject({ organizationId, name, settings, requestId }),
        { organizationId },
      );
    },
  },
  '/silo.project.v1.ProjectService/UpdateProject': {
    events: ['project.updated'],
    prepare: async (silo) => {
      const ada = await silo.signUp();
      const { projectId: id } = ada;
      return either(
        ada,
        ['One', 'Other'],
        (name, requestId, api) => {
          const project = Project.fromPartial({ id, name });
          return api.projects.updateProject({ project, updateMask, requestId });
        },
        { organizationId: ada.organization.id },
      );
    },
  },
  '/silo.project.v1.ProjectService/DeleteProject': {
    events: ['project.deleted'],
    prepare: async (silo) => {
      const ada = await silo.signUp();
      const { projectId } = ada;
      return either(
        ada,
        ['', 'other'],
        (etag, requestId, api) => api.projects.deleteProject({ projectId, etag, requestId }),
        { organizationId: ada.organization.id },
      );
    },
  },
  '/silo.project.v1.ProjectService/CreateRecommendedProjects': {
    events: ['project.created', 'token.created'].flatMap((event) => [event, event, event]),
    prepare: async (silo) => {
      const ada = await upgraded(silo);
      const { api, organizationId } = ada;
      const { organizationId: elsewhere } = await createOrganization(api);
      return either(
        ada,
        [organizationId, elsewhere],
        (organizationId, requestId, api) =>
          api.projects.createRecommendedProjects({ organizationId, requestId }),
        { organizationId },
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
      return either(
        ada,
        ['', 'other'],
        (etag, requestId, api) =>
          api.projects.moveProject({ ...move, etag, requestId, planFingerprint: '' }),
        { organizationId },
      );
    },
  },
  '/silo.project.v1.ProjectService/BatchMoveProjects': {
    events: ['project.moved', 'project.moved'],
    prepare: async (silo) => {
      const ada = await upgraded(silo);
      const { api, organizationId: sourceOrganizationId } = ada;
      const [one, two] = [
        await createProject(api, sourceOrganizationId),
        await createProject(api, sourceOrganizationId),
      ];
      const { organizationId: destinationOrganizationId } = await createOrganization(api);
      await choosePlan(api, destinationOrganizationId);
      const ends = { sourceOrganizationId, destinationOrganizationId, planFingerprint: '' };
      return either(
        ada,
        [[one.id, two.id], [two.id]],
        (projectIds, requestId, api) =>
          api.projects.batchMoveProjects({ ...ends, projectIds, requestId }),
        { organizationId: sourceOrganizationId },
      );
    },
  },
  '/silo.project.v1.ProjectService/UndoMove': {
    events: ['project.moved'],
    prepare: async (silo) => {
      const ada = await moved(silo);
      const { moveIds } = ada;
      return either(
        ada,
        moveIds,
        (moveId, requestId, api) => api.projects.undoMove({ moveId, requestId }),
        { organizationId: ada.destinationId },
      );
    },
  },
  '/silo.project.v1.ProjectService/FinalizeMove': {
    events: ['project.move_finalized'],
    prepare: async (silo) => {
      const ada = await moved(silo);
      const { moveIds } = ada;
      return either(
        ada,
        moveIds,
        (moveId, requestId, api) => api.projects.finalizeMove({ moveId, requestId }),
        { organizationId: ada.destinationId },
      );
    },
  },
  '/silo.project.v1.ProjectService/UndeleteProject': {
    events: ['project.undeleted'],
    prepare: async (silo) => {
      const ada = await upgraded(silo);
      const { api, projectId, organizationId } = ada;
      const other = await createProject(api, organizationId);
      await api.projects.deleteProject({ projectId, etag, requestId: '' });
      return either(
        ada,
        [projectId, other.id],
        (projectId, requestId, api) => api.projects.undeleteProject({ projectId, requestId }),
        { organizationId },
      );
    },
  },

  '/silo.token.v1.ProjectTokenService/RegenerateProjectToken': {
    events: ['token.created', 'token.revoked'],
    prepare: async (silo) => {
      const ada = await silo.signUp();
      const { projectId } = ada;
      return either(
        ada,
        ['', '0123456789ab'],
        (expectedFingerprint, requestId, api) =>
          api.projectTokens.regenerateProjectToken({ projectId, expectedFingerprint, requestId }),
        { organizationId: ada.organization.id },
      );
    },
  },
  '/silo.token.v1.ApiKeyService/CreateApiKey': {
    events: ['token.key_created'],
    prepare: async (silo) => {
      const ada = await silo.signUp();
      return either(ada, ['One', 'Other'], (name, requestId, api) =>
        api.apiKeys.createApiKey({ apiKey: keyMessage({ name, scopes: ['*'] }), requestId }),
      );
    },
  },
  '/silo.token.v1.ApiKeyService/UpdateApiKey': {
    events: ['token.key_updated'],
    prepare: async (silo) => {
      const ada = await withKey(silo);
      const { keyId: id } = ada;
      return either(ada, ['One', 'Other'], (name, requestId, api) =>
        api.apiKeys.updateApiKey({ apiKey: keyMessage({ id, name }), updateMask, requestId }),
      );
    },
  },
  '/silo.token.v1.ApiKeyService/DisableApiKey': {
    events: ['token.key_updated'],
    prepare: async (silo) => {
      const ada = await withKey(silo);
      const { keyId } = ada;
      return either(ada, ['', 'other'], (etag, requestId, api) =>
        api.apiKeys.disableApiKey({ keyId, etag, requestId }),
      );
    },
  },
  '/silo.token.v1.ApiKeyService/EnableApiKey': {
    events: ['token.key_updated'],
    prepare: async (silo) => {
      const ada = await withKey(silo);
      const { api, keyId } = ada;
      await api.apiKeys.disableApiKey({ keyId, etag, requestId: '' });
      return either(ada, ['', 'other'], (etag, requestId, api) =>
        api.apiKeys.enableApiKey({ keyId, etag, requestId }),
      );
    },
  },
  '/silo.token.v1.ApiKeyService/RollApiKey': {
    events: ['token.key_revoked'],
    prepare: async (silo) => {
      const ada = await withKey(silo);
      const { keyId } = ada;
      return either(ada, [undefined, { seconds: 1, nanos: 0 }], (overlap, requestId, api) =>
        api.apiKeys.rollApiKey({ keyId, overlap, etag, requestId }),
      );
    },
  },
  '/silo.token.v1.ApiKeyService/DeleteApiKey': {
    events: ['token.key_revoked'],
    prepare: async (silo) => {
      const ada = await withKey(silo);
      const { keyId } = ada;
      return either(ada, ['', 'other'], (etag, requestId, api) =>
        api.apiKeys.deleteApiKey({ keyId, etag, requestId }),
      );
    },
  },
  '/silo.token.internal.v1.StaffService/IssueApiKey': {
    events: ['token.key_created'],
    prepare: async (silo) => {
      const [ada, bob] = await Promise.all([silo.signUp(), silo.signUp()]);
      return eitherOf([ada.account.id, bob.account.id], (accountId, requestId) =>
        silo.internal().token.staff.issueApiKey({ accountId, requestId }),
      );
    },
  },

  '/silo.billing.v1.BillingService/UpdateBillingDetails': {
    events: ['billing.billing_details_updated'],
    prepare: async (silo) => {
      const ada = await silo.signUp();
      const { organization } = ada;
      const unconditional = { organizationId: organization.id, etag };
      return either(
        ada,
        ['One', 'Other'],
        (companyName, requestId, api) =>
          api.billing.updateBillingDetails({
            ...unconditional,
            billingDetails: { ...billingDetails, companyName },
            requestId,
          }),
        { organizationId: organization.id },
      );
    },
  },
  '/silo.billing.v1.BillingService/ChangePlan': {
    events: ['billing.plan_changed', 'project.slots_changed'],
    prepare: async (silo) => {
      const ada = await upgraded(silo);
      const { organizationId } = ada;
      return either(
        ada,
        [Plan.PLAN_FREE, Plan.PLAN_PAY_AS_YOU_GO],
        (plan, requestId, api) => api.billing.changePlan({ organizationId, plan, etag, requestId }),
        { organizationId },
      );
    },
  },
};
