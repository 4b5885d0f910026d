import { randomUUID } from 'node:crypto';
import {
  type BillingDetails,
  BillingServiceClient,
  type Plan,
} from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { AccountServiceClient } from '@silo/protos/gen/silo/org/v1/account_service.ts';
import { ActivityServiceClient } from '@silo/protos/gen/silo/org/v1/activity_service.ts';
import { OrganizationServiceClient } from '@silo/protos/gen/silo/org/v1/organization_service.ts';
import { EventFilter, PropertyOperator } from '@silo/protos/gen/silo/project/v1/event.ts';
import { EventServiceClient } from '@silo/protos/gen/silo/project/v1/event_service.ts';
import { MigrationServiceClient } from '@silo/protos/gen/silo/project/v1/migration_service.ts';
import { ProjectServiceClient } from '@silo/protos/gen/silo/project/v1/project_service.ts';
import { ApiKey, ApiKeyServiceClient } from '@silo/protos/gen/silo/token/v1/api_key_service.ts';
import { ProjectTokenServiceClient } from '@silo/protos/gen/silo/token/v1/project_token_service.ts';
import { connect } from '@silo/rpc/client.ts';
import { given } from './claim.ts';
import type { Wires } from './wires.ts';

const everything = { pageSize: 0, pageToken: '' };
const anyState = { etag: '' };

/** The holder of an API key, with calls over public gRPC. */
export type Holder = ReturnType<typeof holderOf>;

/** The account of the key. */
export function holderOf(wires: Wires, apiKey: string) {
  const call = { ...wires.call, metadata: { authorization: `Bearer ${apiKey}` } };
  return {
    ...accountCalls(wires, call),
    ...organizationCalls(wires, call),
    ...projectCalls(wires, call),
    ...eventCalls(wires, call),
    ...migrationCalls(wires, call),
    ...tokenCalls(wires, call),
    ...billingCalls(wires, call),
  };
}

type Call = Wires['call'];

function accountCalls({ org }: Wires, call: Call) {
  const accounts = connect(AccountServiceClient, org, call);
  return {
    getAccount: async () => given((await accounts.getAccount({})).account, 'account'),
  };
}

function organizationCalls({ org }: Wires, call: Call) {
  const organizations = connect(OrganizationServiceClient, org, call);
  const activity = connect(ActivityServiceClient, org, call);
  return {
    createOrganization: async (name: string) =>
      organizations.createOrganization({ name, requestId: randomUUID() }),
    listOrganizations: async () =>
      (await organizations.listOrganizations(everything)).organizations,
    listMembers: async (organizationId: string) =>
      (await organizations.listMembers({ organizationId, ...everything })).members,
    inviteMember: (organizationId: string, email: string) =>
      organizations.inviteMember({
        organizationId,
        email,
        level: Level.LEVEL_MEMBER,
        requestId: randomUUID(),
      }),
    acceptInvite: (code: string) => organizations.acceptInvite({ code, requestId: randomUUID() }),
    updateMember: async (organizationId: string, accountId: string, level: Level) => {
      const { member } = await organizations.updateMember({
        member: {
          organizationId,
          accountId,
          level,
          ...anyState,
          email: '',
          displayName: '',
          joinTime: undefined,
        },
        updateMask: ['level'],
        requestId: randomUUID(),
      });
      return given(member, 'member');
    },
    listActivity: async (organizationId: string) =>
      (await activity.listActivity({ organizationId, projectId: '', ...everything })).entries,
  };
}

function projectCalls({ project }: Wires, call: Call) {
  const projects = connect(ProjectServiceClient, project, call);
  return {
    /** Uses a new request id unless one is given. */
    createProject: async (
      organizationId: string,
      name: string,
      requestId: string = randomUUID(),
    ) => {
      const created = await projects.createProject({
        organizationId,
        name,
        settings: undefined,
        requestId,
      });
      return { project: given(created.project, 'project'), token: created.projectToken };
    },
    createRecommendedProjects: async (organizationId: string) => {
      const requestId = randomUUID();
      const created = await projects.createRecommendedProjects({ organizationId, requestId });
      return created.projects.map(({ project: one, projectToken }) => ({
        project: given(one, 'project'),
        token: projectToken,
      }));
    },
    getProject: async (projectId: string) =>
      given((await projects.getProject({ projectId })).project, 'project'),
    listProjects: async (organizationId: string) =>
      (await projects.listProjects({ organizationId, showDeleted: false, ...everything })).projects,
    deleteProject: async (projectId: string) =>
      given(
        (await projects.deleteProject({ projectId, ...anyState, requestId: randomUUID() })).project,
        'project',
      ),
    listMoveDestinations: async (projectId: string) =>
      (await projects.listMoveDestinations({ projectId, ...everything })).destinations,
    previewMove: (projectId: string, destinationOrganizationId: string) =>
      projects.previewMove({
        projectId,
        destinationOrganizationId,
        sourceOrganizationId: '',
        projectIds: [],
      }),
    undoMove: async (moveId: string) => {
      const { move, propagation } = await projects.undoMove({ moveId, requestId: randomUUID() });
      return { move: given(move, 'move'), propagation };
    },
    /** Uses the fingerprint of the preview, if there was one. */
    moveProject: async (
      projectId: string,
      destinationOrganizationId: string,
      planFingerprint = '',
    ) => {
      const moved = await projects.moveProject({
        planFingerprint,
        projectId,
        destinationOrganizationId,
        ...anyState,
        requestId: randomUUID(),
      });
      const { propagation } = moved;
      return {
        project: given(moved.project, 'project'),
        move: given(moved.move, 'move'),
        propagation,
      };
    },
  };
}

function eventCalls({ project }: Wires, call: Call) {
  const events = connect(EventServiceClient, project, call);
  return {
    queryEventsOfHost: async (projectId: string, host: string) => {
      const isHost = {
        ...{ name: '$host', operator: PropertyOperator.PROPERTY_OPERATOR_EQUAL },
        values: [JSON.stringify(host)],
      };
      const filter = EventFilter.fromPartial({ properties: [isHost] });
      return (await events.queryEvents({ projectId, filter, ...everything })).events;
    },
    /** The names of all events of a project. */
    eventNames: async (projectId: string) => {
      const names: string[] = [];
      let pageToken = '';
      do {
        const request = { projectId, filter: undefined, pageSize: 1_000, pageToken };
        const page = await events.queryEvents(request);
        names.push(...page.events.map(({ name }) => name));
        pageToken = page.nextPageToken;
      } while (pageToken !== '');
      return names;
    },
    deadTokenUses: async (projectId: string) => (await events.deadTokenReport({ projectId })).uses,
  };
}

/** The destination of a project. */
type Destination = { region: string; organizationId: string };

function migrationCalls({ project }: Wires, call: Call) {
  const migrations = connect(MigrationServiceClient, project, call);
  const plan = (projectId: string, { region, organizationId }: Destination) => ({
    ...{ projectId, destinationRegion: region, destinationOrganizationId: organizationId },
  });
  return {
    previewMigration: (projectId: string, to: Destination) =>
      migrations.previewMigration(plan(projectId, to)),
    requestMigration: async (projectId: string, to: Destination, planFingerprint: string) => {
      const request = { ...plan(projectId, to), planFingerprint, requestId: randomUUID() };
      return given((await migrations.requestMigration(request)).migration, 'migration');
    },
    acceptMigration: async (migrationId: string, organizationId: string) => {
      const request = { migrationId, organizationId, requestId: randomUUID() };
      return given((await migrations.acceptMigration(request)).migration, 'migration');
    },
  };
}

function tokenCalls({ token }: Wires, call: Call) {
  const tokens = connect(ProjectTokenServiceClient, token, call);
  const keys = connect(ApiKeyServiceClient, token, call);
  return {
    getProjectToken: async (projectId: string) =>
      given((await tokens.getProjectToken({ projectId })).projectToken, 'project token'),
    regenerateProjectToken: async (projectId: string, expectedFingerprint: string) => {
      const requestId = randomUUID();
      const answer = await tokens.regenerateProjectToken({
        projectId,
        expectedFingerprint,
        requestId,
      });
      const { propagation } = answer;
      return { ...given(answer.projectToken, 'project token'), propagation };
    },
    createApiKey: async (
      wanted: Pick<ApiKey, 'name' | 'scopes'> &
        Partial<Pick<ApiKey, 'organizationIds' | 'projectIds'>>,
    ) => {
      const apiKey = ApiKey.fromPartial(wanted);
      const created = await keys.createApiKey({ apiKey, requestId: randomUUID() });
      return { apiKey: given(created.apiKey, 'API key'), secret: created.secret };
    },
  };
}

function billingCalls({ billing }: Wires, call: Call) {
  const subscriptions = connect(BillingServiceClient, billing, call);
  return {
    listPlans: async () => (await subscriptions.listPlans({})).plans,
    getSubscription: async (organizationId: string) =>
      given((await subscriptions.getSubscription({ organizationId })).subscription, 'subscription'),
    updateBillingDetails: async (organizationId: string, billingDetails: BillingDetails) =>
      subscriptions.updateBillingDetails({
        organizationId,
        billingDetails,
        ...anyState,
        requestId: randomUUID(),
      }),
    changePlan: async (organizationId: string, plan: Plan) =>
      given(
        (
          await subscriptions.changePlan({
            organizationId,
            plan,
            ...anyState,
            requestId: randomUUID(),
          })
        ).subscription,
        'subscription',
      ),
  };
}
