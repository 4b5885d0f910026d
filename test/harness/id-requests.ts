/**
 * Every request of the public API that names a thing, for tests of what an outsider can find out.
 */

import { randomUUID } from 'node:crypto';
import { Plan } from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { Account } from '@silo/protos/gen/silo/org/v1/account_service.ts';
import { Member, Organization } from '@silo/protos/gen/silo/org/v1/organization.ts';
import { EventFilter } from '@silo/protos/gen/silo/project/v1/event.ts';
import { CountGrouping } from '@silo/protos/gen/silo/project/v1/event_service.ts';
import { Project } from '@silo/protos/gen/silo/project/v1/project.ts';
import { newId } from '@silo/tokens/ids.ts';
import { billingDetails, keyMessage, upgrade } from '../authorization/world.ts';
import { type MigrationRegion, newMigrant, requested } from '../scenarios/migration-support.ts';
import type { PublicApi, SignedUp } from './clients.ts';

/**
 * Calls one method about the thing with this id; `own` is the caller's account, for other required
 * fields.
 */
export type IdRequest = (api: PublicApi, id: string, own: SignedUp) => Promise<unknown>;

const rest = { etag: '', requestId: '' };
const unplanned = { requestId: '', planFingerprint: '' };
const updateMask = undefined;
const usageDays = { firstDay: '', lastDay: '' };
const settings = undefined;
const firstPage = { pageSize: 0, pageToken: '' };
const email = 'somebody@example.com';
const level = Level.LEVEL_MEMBER;

const someMigration = () => ({ migrationId: newId('mig_us') });
const elsewhere = () => ({
  destinationRegion: 'eu',
  destinationOrganizationId: newId('org_eu'),
});

export const ofOrganizations: Record<string, IdRequest> = {
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
    api.projects.createProject({ organizationId, name: 'x', settings, requestId: '' }),
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
  '/silo.project.v1.MigrationService/AcceptMigration': (api, organizationId) =>
    api.migrations.acceptMigration({ ...someMigration(), organizationId, requestId: '' }),
  '/silo.project.v1.MigrationService/CancelMigration': (api, organizationId) =>
    api.migrations.cancelMigration({ ...someMigration(), organizationId, requestId: '' }),
  '/silo.project.v1.MigrationService/GetMigration': (api, organizationId) =>
    api.migrations.getMigration({ ...someMigration(), organizationId }),
  '/silo.project.v1.MigrationService/ListMigrations': (api, organizationId) =>
    api.migrations.listMigrations({ organizationId, ...firstPage }),
  '/silo.project.v1.MigrationService/WatchMigration': async (api, organizationId) => {
    const request = { ...someMigration(), organizationId };
    for await (const _ of api.migrations.watchMigration(request)) return;
  },
  '/silo.billing.v1.BillingService/GetSubscription': (api, organizationId) =>
    api.billing.getSubscription({ organizationId }),
  '/silo.billing.v1.BillingService/UpdateBillingDetails': (api, organizationId) =>
    api.billing.updateBillingDetails({ organizationId, billingDetails, ...rest }),
  '/silo.billing.v1.BillingService/ChangePlan': (api, organizationId) =>
    api.billing.changePlan({ organizationId, plan: Plan.PLAN_FREE, ...rest }),
};

/** Further ways to name an organization. */
export const ofOrganizationsBesides: Record<string, IdRequest> = {
  'GetUsage of an organization': (api, organizationId) =>
    api.events.getUsage({ organizationId, projectId: '', ...usageDays, ...firstPage }),
  'PreviewMove of an organization’s batch': (
    api,
    sourceOrganizationId,
    { organization, projectId },
  ) =>
    api.projects.previewMove({
      ...{ projectId: '', destinationOrganizationId: organization.id },
      ...{ sourceOrganizationId, projectIds: [projectId] },
    }),
};

export const ofProjects: Record<string, IdRequest> = {
  '/silo.project.v1.EventService/QueryEvents': (api, projectId) =>
    api.events.queryEvents({ projectId, filter: undefined, ...firstPage }),
  '/silo.project.v1.EventService/CountEvents': (api, projectId) =>
    api.events.countEvents({
      ...{ projectId, filter: undefined, property: '', ...firstPage },
      grouping: CountGrouping.COUNT_GROUPING_NAME,
    }),
  '/silo.project.v1.EventService/GetUsage': (api, projectId) =>
    api.events.getUsage({ organizationId: '', projectId, ...usageDays, ...firstPage }),
  '/silo.project.v1.EventService/ExportEvents': async (api, projectId) => {
    const messages = api.events.exportEvents({ projectId, filter: undefined, pageToken: '' });
    for await (const _ of messages) return;
  },
  '/silo.project.v1.EventService/DeleteEvents': (api, projectId) =>
    api.events.deleteEvents({
      ...{ projectId, requestId: '' },
      filter: EventFilter.fromPartial({ distinctId: 'nobody' }),
    }),
  '/silo.project.v1.EventService/GetEventDeletion': (api, projectId) =>
    api.events.getEventDeletion({ projectId, deletionId: newId('evd') }),
  '/silo.project.v1.MigrationService/PreviewMigration': (api, projectId) =>
    api.migrations.previewMigration({ projectId, ...elsewhere() }),
  '/silo.project.v1.MigrationService/RequestMigration': (api, projectId) =>
    api.migrations.requestMigration({ projectId, ...elsewhere(), ...unplanned }),
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

/** A deleted project looks absent to its last owner, except in these requests. */
export const ofDeletedProjects: Record<string, IdRequest> = {
  '/silo.project.v1.EventService/DeadTokenReport': (api, projectId) =>
    api.events.deadTokenReport({ projectId }),
  '/silo.project.v1.ProjectService/UndeleteProject': (api, projectId) =>
    api.projects.undeleteProject({ projectId, requestId: '' }),
};

export const ofMoves: Record<string, IdRequest> = {
  '/silo.project.v1.ProjectService/GetMove': (api, moveId) => api.projects.getMove({ moveId }),
  '/silo.project.v1.ProjectService/UndoMove': (api, moveId) =>
    api.projects.undoMove({ moveId, requestId: '' }),
  '/silo.project.v1.ProjectService/FinalizeMove': (api, moveId) =>
    api.projects.finalizeMove({ moveId, requestId: '' }),
};

/** Further ways to name a project, by methods that the list above calls differently. */
export const ofProjectsBesides: Record<string, IdRequest> = {
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

export const currentProject: Record<string, IdRequest> = {
  '/silo.org.v1.AccountService/UpdateAccount': (api, currentProjectId) =>
    api.accounts.updateAccount({
      account: Account.fromPartial({ currentProjectId }),
      updateMask,
      requestId: '',
    }),
};

export const ofKeys: Record<string, IdRequest> = {
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

/** Requests that name accounts, by an admin of another organization. */
export const ofAccounts: Record<string, IdRequest> = {
  'UpdateMember of an account': (api, accountId, { organization }) =>
    api.organizations.updateMember({
      member: Member.fromPartial({ organizationId: organization.id, accountId, level }),
      updateMask,
      requestId: '',
    }),
  'RemoveMember of an account': (api, accountId, { organization }) =>
    api.organizations.removeMember({ organizationId: organization.id, accountId, ...rest }),
};

/** Requests that name migrations, by an admin of another organization. */
export const ofMigrations: Record<string, IdRequest> = {
  'CancelMigration of a migration': (api, migrationId, { organization }) =>
    api.migrations.cancelMigration({ migrationId, organizationId: organization.id, requestId: '' }),
  'GetMigration of a migration': (api, migrationId, { organization }) =>
    api.migrations.getMigration({ migrationId, organizationId: organization.id }),
  'WatchMigration of a migration': async (api, migrationId, { organization }) => {
    const request = { migrationId, organizationId: organization.id };
    for await (const _ of api.migrations.watchMigration(request)) return;
  },
};

/** The same for a migration that comes from another region. */
export const ofOffers: Record<string, IdRequest> = {
  'AcceptMigration of a migration': (api, migrationId, { organization }) =>
    api.migrations.acceptMigration({ migrationId, organizationId: organization.id, requestId: '' }),
};

/** Requests that name deletions of events, with a project of another organization. */
export const ofEventDeletions: Record<string, IdRequest> = {
  'GetEventDeletion of a deletion': (api, deletionId, { projectId }) =>
    api.events.getEventDeletion({ projectId, deletionId }),
};

/** Requests that name invites, by an admin of another organization. */
export const ofInvites: Record<string, IdRequest> = {
  'DeleteInvite of an invite': (api, inviteId, { organization }) =>
    api.organizations.deleteInvite({ organizationId: organization.id, inviteId, requestId: '' }),
};

/** Requests to move the caller's own project to other organizations. */
export const ofDestinations: Record<string, IdRequest> = {
  'MoveProject to an organization': (api, destinationOrganizationId, { projectId }) =>
    api.projects.moveProject({ projectId, destinationOrganizationId, etag: '', ...unplanned }),
  'PreviewMove to an organization': (api, destinationOrganizationId, { projectId }) =>
    api.projects.previewMove({
      ...{ projectId, destinationOrganizationId },
      ...{ sourceOrganizationId: '', projectIds: [] },
    }),
  'BatchMoveProjects to an organization': (api, destinationOrganizationId, own) =>
    api.projects.batchMoveProjects({
      sourceOrganizationId: own.organization.id,
      projectIds: [own.projectId],
      destinationOrganizationId,
      ...unplanned,
    }),
};

/** All these requests, by the kind of thing that they name. */
export const requestsByKind = {
  organizations: { ...ofOrganizations, ...ofOrganizationsBesides },
  destinations: ofDestinations,
  projects: { ...ofProjects, ...ofProjectsBesides, ...ofDeletedProjects, ...currentProject },
  moves: ofMoves,
  keys: ofKeys,
  accounts: ofAccounts,
  invites: ofInvites,
  eventDeletions: ofEventDeletions,
  migrations: ofMigrations,
  offers: ofOffers,
} satisfies Record<string, Record<string, IdRequest>>;

type Kind = keyof typeof requestsByKind;

/** Requests that name one kind of thing, a hidden one, and ids of absent ones. */
export type HiddenThing = Ids & { requests: Record<string, IdRequest> };

type Ids = { hidden: string; absent: () => string };

/** The kinds that only exist with two regions: see `hideMigration`. */
type RegionalKind = 'migrations' | 'offers';

/** Creates one thing of each kind that only this account can see; `use` lets the account use it. */
export async function hideThings(owner: SignedUp): Promise<{
  things: HiddenThing[];
  use(): Promise<void>;
}> {
  const { api, organization, projectId, account, apiKeyId } = owner;
  const organizationId = organization.id;
  await upgrade(api, organizationId);
  const destination = await api.organizations.createOrganization({ name: 'x', requestId: '' });
  const destinationOrganizationId = present(destination.organization).id;
  await upgrade(api, destinationOrganizationId);
  const added = { organizationId, name: 'Moved', settings, requestId: '' };
  const moved = present((await api.projects.createProject(added)).project).id;
  const wanted = { projectId: moved, destinationOrganizationId, etag: '', ...unplanned };
  const moveId = present((await api.projects.moveProject(wanted)).move).id;
  const invited = { organizationId, email, level, requestId: randomUUID() };
  const { invite } = await api.organizations.inviteMember(invited);
  const events = EventFilter.fromPartial({ distinctId: 'nobody' });
  const { deletion } = await api.events.deleteEvents({ projectId, filter: events, requestId: '' });
  const anOrganization = { hidden: organizationId, absent: () => newId('org_us') };
  const ids: Record<Exclude<Kind, RegionalKind>, Ids> = {
    organizations: anOrganization,
    destinations: anOrganization,
    projects: { hidden: projectId, absent: () => newId('prj') },
    moves: { hidden: moveId, absent: () => newId('mov') },
    keys: { hidden: apiKeyId, absent: () => newId('key') },
    accounts: { hidden: account.id, absent: () => newId('acc') },
    invites: { hidden: present(invite).id, absent: () => newId('inv') },
    eventDeletions: { hidden: present(deletion).id, absent: () => newId('evd') },
  };
  const kinds = Object.keys(ids) as (keyof typeof ids)[];
  return {
    things: kinds.map((kind) => ({ ...ids[kind], requests: requestsByKind[kind] })),
    use: async () => {
      await api.projects.getProject({ projectId });
      await api.projectTokens.getProjectToken({ projectId });
      await api.activity.listActivity({ organizationId: '', projectId, ...firstPage });
      await api.billing.getSubscription({ organizationId });
      await api.projects.getMove({ moveId });
    },
  };
}

/**
 * Requests a migration from us to eu that only new accounts can see. Strangers try `migrations` in
 * us, and `offers` in eu, where it is not accepted.
 */
export async function hideMigration(ends: {
  us: Omit<MigrationRegion, 'region'>;
  eu: Omit<MigrationRegion, 'region'>;
}): Promise<Record<RegionalKind, HiddenThing>> {
  const from = { ...ends.us, region: 'us' as const };
  const to = { ...ends.eu, region: 'eu' as const };
  const { id } = await requested(await newMigrant<MigrationRegion>({ from, to }));
  const ids = { hidden: id, absent: () => newId('mig_us') };
  return {
    migrations: { ...ids, requests: requestsByKind.migrations },
    offers: { ...ids, requests: requestsByKind.offers },
  };
}

function present<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('an empty answer');
  return value;
}
