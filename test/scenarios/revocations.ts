import type { ReasonName } from '@silo/errors/reason-name.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import type { Propagation } from '@silo/protos/gen/silo/common/v1/propagation.ts';
import { Member, Organization } from '@silo/protos/gen/silo/org/v1/organization.ts';
import { createKey, join, keyMessage } from '../authorization/world.ts';
import type { PublicApi } from '../harness/clients.ts';
import { outcomes } from '../harness/refusals.ts';
import type { TestSilo } from '../harness/silo.ts';
import { capture, event, noFilter, query } from './event-requests.ts';
import {
  billingDetails,
  choosePlan,
  createOrganization,
  createProject,
  firstPage,
  moveProject,
} from './support.ts';

/** One way to use access, at one service. Returns `OK` or the reason of the refusal. */
type Probe = { where: string; use(): Promise<string> };

/** An RPC that removes access, and every way to use the removed access. */
type Revocable = {
  revoke(requestId: string): Promise<{ propagation: Propagation | undefined }>;
  probes: Probe[];
  /** The reasons with which the probes are refused afterwards. */
  refusedFor: readonly (ReasonName | 'NO_EVENTS')[];
};

/** A method that removes access; every guard must reach the position in the log of `source`. */
type Revocation = {
  source: 'org' | 'project' | 'token';
  prepare(silo: TestSilo): Promise<Revocable>;
};

const { LEVEL_ADMIN, LEVEL_MEMBER } = Level;
const etag = '';
const hidden = ['ORGANIZATION_NOT_FOUND', 'PROJECT_NOT_FOUND'] as const;

type Place = { organizationId: string; projectId: string };

function probe(where: string, call: () => Promise<unknown>): Probe {
  return { where, use: async () => (await outcomes([call()]))[0] ?? '' };
}

/** The answer of the token service's AccessService for a key. */
function authorizes(silo: TestSilo, key: string, target: Partial<Place>, level: Level): Probe {
  const { organizationId, projectId } = target;
  const named = organizationId
    ? ({ $case: 'organizationId', value: organizationId } as const)
    : ({ $case: 'projectId', value: projectId ?? '' } as const);
  return {
    where: `Authorize ${named.$case}`,
    use: async () => {
      const request = { key, scope: 'project:read', target: named, level };
      const { answer } = await silo.internal().token.access.authorize(request);
      return answer?.$case === 'facts' ? 'OK' : String(answer?.value.reason);
    },
  };
}

/** The answer of the token service's AccessService for a project token. */
function verifies(silo: TestSilo, token: string): Probe {
  return {
    where: 'VerifyToken',
    use: async () => {
      const { answer } = await silo.internal().token.access.verifyToken({ token });
      return answer?.$case === 'facts' ? 'OK' : String(answer?.value.reason);
    },
  };
}

/** What a member may do in an organization, at each service. */
function memberActs(silo: TestSilo, key: string, { organizationId, projectId }: Place): Probe[] {
  const api = silo.as(key);
  return [
    probe('org', () => api.organizations.getOrganization({ organizationId })),
    probe('project', () =>
      api.projects.listProjects({ organizationId, showDeleted: false, ...firstPage }),
    ),
    probe('billing', () => api.billing.getSubscription({ organizationId })),
    authorizes(silo, key, { organizationId }, LEVEL_MEMBER),
    ...projectActs(silo, key, projectId),
  ];
}

/** What a member may do with a project, at each service that knows projects. */
function projectActs(silo: TestSilo, key: string, projectId: string): Probe[] {
  const api = silo.as(key);
  return [
    probe('org', () => api.activity.listActivity({ organizationId: '', projectId, ...firstPage })),
    probe('project', () => api.projects.getProject({ projectId })),
    probe('token', () => api.projectTokens.getProjectToken({ projectId })),
    authorizes(silo, key, { projectId }, LEVEL_MEMBER),
  ];
}

/**
 * Actions that require an admin, at each service; if allowed, they fail on the etag or fingerprint.
 */
function adminActs(silo: TestSilo, key: string, { organizationId, projectId }: Place): Probe[] {
  const api = silo.as(key);
  const other = { etag: 'other', requestId: '' };
  const regeneration = { projectId, expectedFingerprint: '0123456789ab', requestId: '' };
  return [
    probe('org', () => api.organizations.listInvites({ organizationId, ...firstPage })),
    probe('project', () => api.projects.deleteProject({ projectId, ...other })),
    probe('token', () => api.projectTokens.regenerateProjectToken(regeneration)),
    probe('billing', () =>
      api.billing.updateBillingDetails({ organizationId, billingDetails, ...other }),
    ),
    authorizes(silo, key, { organizationId }, LEVEL_ADMIN),
  ];
}

/** Ada's organization, with a project that is not its last, and Bob in it. */
export async function team(silo: TestSilo, level: Level = LEVEL_MEMBER) {
  const [ada, bob] = await Promise.all([silo.signUp('Ada'), silo.signUp('Bob')]);
  const organizationId = ada.organization.id;
  await choosePlan(ada.api, organizationId);
  await join(ada, bob, level);
  const { id: projectId } = await createProject(ada.api, organizationId);
  return { ada, bob, organizationId, projectId };
}

/** Another key of Bob, in addition to the one that ends it, and all that it may do. */
async function keyOf(silo: TestSilo) {
  const { bob, ...place } = await team(silo);
  const { apiKey, secret } = await createKey(bob.api, { scopes: ['*'] });
  const probes = memberActs(silo, secret, place);
  return { keyId: apiKey.id, api: bob.api, probes };
}

/** A method of ApiKeyService that ends a key. */
function endsKey(
  end: (
    api: PublicApi,
    request: { keyId: string; etag: string; requestId: string },
  ) => ReturnType<Revocable['revoke']>,
): Revocation {
  return {
    source: 'token',
    prepare: async (silo) => {
      const { keyId, api, probes } = await keyOf(silo);
      const revoke = (requestId: string) => end(api, { keyId, etag, requestId });
      return { revoke, probes, refusedFor: ['TOKEN_INVALID'] };
    },
  };
}

/** Two organizations of Ada, and a project that Bob reaches through the first. */
async function movable(silo: TestSilo) {
  const { ada, bob, organizationId, projectId } = await team(silo);
  const { organizationId: destinationOrganizationId } = await createOrganization(ada.api);
  await choosePlan(ada.api, destinationOrganizationId);
  const probes = projectActs(silo, bob.apiKey, projectId);
  const refusedFor = ['PROJECT_NOT_FOUND'] as const;
  return {
    ...{ ada, bob, projectId, probes, refusedFor },
    ...{ sourceOrganizationId: organizationId, destinationOrganizationId },
  };
}

/** Every method whose answer has a propagation, by its path. */
export const revocations: Record<string, Revocation> = {
  '/silo.org.v1.OrganizationService/RemoveMember': {
    source: 'org',
    prepare: async (silo) => {
      const { ada, bob, ...place } = await team(silo);
      const which = { organizationId: place.organizationId, accountId: bob.account.id, etag };
      return {
        revoke: (requestId) => ada.api.organizations.removeMember({ ...which, requestId }),
        probes: memberActs(silo, bob.apiKey, place),
        refusedFor: hidden,
      };
    },
  },
  '/silo.org.v1.OrganizationService/LeaveOrganization': {
    source: 'org',
    prepare: async (silo) => {
      const { bob, ...place } = await team(silo);
      const { organizationId } = place;
      return {
        // With the key itself that is refused from then on.
        revoke: (requestId) =>
          bob.api.organizations.leaveOrganization({ organizationId, requestId }),
        probes: memberActs(silo, bob.apiKey, place),
        refusedFor: hidden,
      };
    },
  },
  '/silo.org.v1.OrganizationService/UpdateMember': {
    source: 'org',
    prepare: async (silo) => {
      const { ada, bob, ...place } = await team(silo, LEVEL_ADMIN);
      const { organizationId } = place;
      const member = Member.fromPartial({
        ...{ organizationId, accountId: bob.account.id, level: LEVEL_MEMBER },
      });
      return {
        revoke: (requestId) =>
          ada.api.organizations.updateMember({ member, updateMask: undefined, requestId }),
        probes: adminActs(silo, bob.apiKey, place),
        refusedFor: ['ADMIN_REQUIRED'],
      };
    },
  },
  '/silo.org.v1.OrganizationService/UpdateOrganization': {
    source: 'org',
    prepare: async (silo) => {
      const { ada, bob, organizationId } = await team(silo);
      const organization = Organization.fromPartial({ id: organizationId });
      const updateMask = ['members_may_create_projects'];
      return {
        revoke: (requestId) =>
          ada.api.organizations.updateOrganization({ organization, updateMask, requestId }),
        // The right to create projects is checked only when a project is created or moved.
        probes: [
          probe('project', () => createProject(bob.api, organizationId)),
          {
            where: 'Authorize',
            use: async () => {
              const { answer } = await silo.internal().token.access.authorize({
                ...{ key: bob.apiKey, scope: '', level: LEVEL_MEMBER },
                target: { $case: 'organizationId', value: organizationId },
              });
              const may = answer?.$case === 'facts' && answer.value.membersMayCreateProjects;
              return may ? 'OK' : 'ADMIN_REQUIRED';
            },
          },
        ],
        refusedFor: ['ADMIN_REQUIRED'],
      };
    },
  },
  '/silo.org.v1.OrganizationService/DeleteOrganization': {
    source: 'org',
    prepare: async (silo) => {
      const [ada, bob] = await Promise.all([silo.signUp('Ada'), silo.signUp('Bob')]);
      const { organizationId, projectId } = await createOrganization(ada.api);
      await join(ada, bob, LEVEL_MEMBER, organizationId);
      await ada.api.projects.deleteProject({ projectId, etag, requestId: '' });
      const acts = memberActs(silo, bob.apiKey, { organizationId, projectId });
      return {
        revoke: (requestId) =>
          ada.api.organizations.deleteOrganization({
            organizationId,
            etag,
            requestId,
            endDeletedProjects: true,
          }),
        // Its projects were deleted before.
        probes: acts.slice(0, 4),
        refusedFor: hidden,
      };
    },
  },

  '/silo.project.v1.ProjectService/MoveProject': {
    source: 'project',
    prepare: async (silo) => {
      const { ada, projectId, destinationOrganizationId, ...rest } = await movable(silo);
      const move = { projectId, destinationOrganizationId, etag, planFingerprint: '' };
      return {
        ...rest,
        revoke: (requestId) => ada.api.projects.moveProject({ ...move, requestId }),
      };
    },
  },
  '/silo.project.v1.ProjectService/BatchMoveProjects': {
    source: 'project',
    prepare: async (silo) => {
      const { ada, projectId, sourceOrganizationId, destinationOrganizationId, ...rest } =
        await movable(silo);
      const ends = { sourceOrganizationId, destinationOrganizationId };
      const move = { ...ends, projectIds: [projectId], planFingerprint: '' };
      return {
        ...rest,
        revoke: (requestId) => ada.api.projects.batchMoveProjects({ ...move, requestId }),
      };
    },
  },
  '/silo.project.v1.ProjectService/UndoMove': {
    source: 'project',
    prepare: async (silo) => {
      const { ada, projectId, destinationOrganizationId } = await movable(silo);
      // Carol can access it only in its new place.
      const carol = await silo.signUp('Carol');
      await join(ada, carol, LEVEL_MEMBER, destinationOrganizationId);
      const { move } = await moveProject(ada.api, projectId, destinationOrganizationId);
      const moveId = move?.id ?? '';
      return {
        revoke: (requestId) => ada.api.projects.undoMove({ moveId, requestId }),
        probes: projectActs(silo, carol.apiKey, projectId),
        refusedFor: ['PROJECT_NOT_FOUND'],
      };
    },
  },
  '/silo.project.v1.ProjectService/DeleteProject': {
    source: 'project',
    prepare: async (silo) => {
      const { ada, bob, projectId } = await team(silo);
      const { projectToken } = await ada.api.projectTokens.getProjectToken({ projectId });
      return {
        revoke: (requestId) => ada.api.projects.deleteProject({ projectId, etag, requestId }),
        probes: [
          ...projectActs(silo, bob.apiKey, projectId),
          verifies(silo, projectToken?.token ?? ''),
        ],
        refusedFor: ['PROJECT_NOT_FOUND', 'TOKEN_INVALID'],
      };
    },
  },
  // Removes no access, but events.
  '/silo.project.v1.EventService/DeleteEvents': {
    source: 'project',
    prepare: async (silo) => {
      const { api, projectId, projectToken } = await silo.signUp();
      await capture(silo, projectToken, [event()]);
      const counted = { projectId, filter: noFilter, grouping: 0, property: '' } as const;
      const count = async () =>
        (await api.events.countEvents({ ...counted, ...firstPage })).totalCount;
      return {
        revoke: (requestId) => api.events.deleteEvents({ projectId, filter: noFilter, requestId }),
        probes: [
          { where: 'CountEvents', use: async () => ((await count()) ? 'OK' : 'NO_EVENTS') },
          {
            where: 'QueryEvents',
            use: async () =>
              (await query(api, { projectId })).events.length > 0 ? 'OK' : 'NO_EVENTS',
          },
        ],
        refusedFor: ['NO_EVENTS'],
      };
    },
  },

  '/silo.token.v1.ProjectTokenService/RegenerateProjectToken': {
    source: 'token',
    prepare: async (silo) => {
      const { api, projectId, projectToken } = await silo.signUp();
      const which = { projectId, expectedFingerprint: '' };
      return {
        revoke: (requestId) => api.projectTokens.regenerateProjectToken({ ...which, requestId }),
        probes: [verifies(silo, projectToken)],
        refusedFor: ['TOKEN_INVALID'],
      };
    },
  },
  '/silo.token.v1.ApiKeyService/DeleteApiKey': endsKey((api, request) =>
    api.apiKeys.deleteApiKey(request),
  ),
  '/silo.token.v1.ApiKeyService/DisableApiKey': endsKey((api, request) =>
    api.apiKeys.disableApiKey(request),
  ),
  '/silo.token.v1.ApiKeyService/RollApiKey': endsKey((api, request) =>
    api.apiKeys.rollApiKey({ ...request, overlap: undefined }),
  ),
  '/silo.token.v1.ApiKeyService/UpdateApiKey': {
    source: 'token',
    prepare: async (silo) => {
      const { keyId: id, api, probes } = await keyOf(silo);
      const apiKey = keyMessage({ id, scopes: ['event:read'] });
      const updateMask = ['scopes'];
      return {
        revoke: (requestId) => api.apiKeys.updateApiKey({ apiKey, updateMask, requestId }),
        probes,
        refusedFor: ['SCOPE_REQUIRED'],
      };
    },
  },
};
