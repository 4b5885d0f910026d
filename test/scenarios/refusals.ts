import { randomUUID } from 'node:crypto';
import { Client } from '@grpc/grpc-js';
import { fromStatus, reasonOf } from '@silo/errors/from-status.ts';
import type { ReasonName } from '@silo/errors/reason-name.ts';
import { SiloError } from '@silo/errors/silo-error.ts';
import { Plan } from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { createChannel } from '@silo/rpc/client.ts';
import { newId } from '@silo/tokens/ids.ts';
import { newApiKey } from '@silo/tokens/secrets.ts';
import { createKey, join } from '../authorization/world.ts';
import { certificate } from '../harness/certificates.ts';
import type { SignedUp } from '../harness/clients.ts';
import { isUnanswered } from '../harness/eventually.ts';
import type { TestRegions } from '../harness/regions.ts';
import { startTestSilo, type TestSilo } from '../harness/silo.ts';
import { drainingStream, tooManyCalls, withoutPeers } from './lone-service.ts';
import { newMigrant, planOf, requested } from './migration-support.ts';
import {
  addSilentGuard,
  choosePlan,
  createOrganization,
  createProject,
  moveProject,
  present,
  projectNames,
} from './support.ts';

/** Causes a refusal for that reason, and does nothing after it. */
type Trigger = (silo: TestRegion, other: TestRegion) => Promise<unknown>;

type TestRegion = TestRegions['us'];

const unconditional = { etag: '', requestId: '' };
const email = 'somebody@example.com';
const roundsMax = 40;

const invite = ({ api }: SignedUp, to: string, organizationId: string) =>
  api.organizations.inviteMember({
    organizationId,
    email: to,
    level: Level.LEVEL_MEMBER,
    requestId: randomUUID(),
  });

const newAccount = (to: string) => ({
  email: to,
  displayName: 'New',
  organizationName: 'New',
  requestId: randomUUID(),
});

/**
 * The refusal of a call in one of several rounds of concurrent calls; which call is refused is
 * random.
 */
async function inRace(reason: ReasonName, round: () => Promise<Promise<unknown>[]>) {
  for (let rounds = 0; rounds < roundsMax; rounds++) {
    for (const each of await Promise.allSettled(await round())) {
      if (each.status === 'fulfilled') continue;
      if (reasonOf(each.reason) === reason || !isRefusalOrDeadline(each.reason)) throw each.reason;
    }
  }
}

/** On a busy machine the client's own deadline may pass before the answer. */
function isRefusalOrDeadline(error: unknown): boolean {
  return error instanceof SiloError || isUnanswered(error);
}

async function upgraded(silo: TestSilo) {
  const ada = await silo.signUp();
  const organizationId = ada.organization.id;
  await choosePlan(ada.api, organizationId);
  return { ...ada, organizationId };
}

/** A project that was moved between two organizations of one account. */
async function movedProject(silo: TestSilo) {
  const { api, organizationId: sourceId } = await upgraded(silo);
  const { organizationId: destinationId } = await createOrganization(api);
  await choosePlan(api, destinationId);
  const { id: projectId } = await createProject(api, sourceId);
  const moveId = present((await moveProject(api, projectId, destinationId)).move).id;
  const undo = (id = moveId) => api.projects.undoMove({ moveId: id, requestId: '' });
  return { api, projectId, sourceId, moveId, undo };
}

async function callUnknownMethod({ addresses }: TestSilo): Promise<unknown> {
  using opened = createChannel(addresses.org.public, { ca: certificate('staff-operator').ca });
  const { address, credentials, channel } = opened;
  const client = new Client(address, credentials, { channelOverride: channel });
  const asIs = (bytes: Buffer) => bytes;
  const path = '/silo.org.v1.AccountService/DeleteEverything';
  return await new Promise((resolve, reject) => {
    client.makeUnaryRequest(path, asIs, asIs, Buffer.alloc(0), (error, answer) =>
      error === null ? resolve(answer) : reject(fromStatus(error) ?? error),
    );
  });
}

/** Each reason that any caller can cause; the others are in `inTrouble`. */
const byCallers: Partial<Record<ReasonName, Trigger>> = {
  INVALID_FIELD: (silo) => silo.as().accounts.createAccount(newAccount('no e-mail')),
  TOKEN_INVALID: (silo) => silo.as(newApiKey()).accounts.getAccount({}),
  SCOPE_REQUIRED: async (silo) => {
    const { secret } = await createKey((await silo.signUp()).api, { scopes: ['event:read'] });
    return await silo.as(secret).accounts.getAccount({});
  },
  ADMIN_REQUIRED: async (silo) => {
    const [ada, bob] = [await silo.signUp(), await silo.signUp()];
    await join(ada, bob, Level.LEVEL_MEMBER);
    return await invite(bob, email, ada.organization.id);
  },
  KEY_RESTRICTED: async (silo) => {
    const { api, projectId } = await silo.signUp();
    const { secret } = await createKey(api, { scopes: ['*'], projectIds: [projectId] });
    return await createOrganization(silo.as(secret));
  },
  KEY_EXCEEDS_CALLER: async (silo) => {
    const { secret } = await createKey((await silo.signUp()).api, { scopes: ['key:write'] });
    return await createKey(silo.as(secret), { scopes: ['*'] });
  },
  KEY_EXPIRED: async (silo) => {
    const { api } = await silo.signUp();
    const expireTime = new Date(Date.now() + 3_600_000);
    const { apiKey } = await createKey(api, { scopes: ['*'], expireTime });
    const keyId = apiKey.id;
    // As if that hour had passed.
    const expired = { $set: { expireTime: new Date() } };
    await collection(silo, 'token', 'api_keys').updateOne({ _id: keyId }, expired);
    return await api.apiKeys.rollApiKey({
      keyId,
      etag: '',
      requestId: randomUUID(),
      overlap: undefined,
    });
  },
  ROLE_REQUIRED: (silo) =>
    silo
      .internal(certificate('guard-edge'))
      .org.staff.changeEmail({ accountId: newId('acc'), email, requestId: '' }),
  ACCOUNT_NOT_FOUND: (silo) =>
    silo.internal().org.staff.changeEmail({ accountId: newId('acc'), email, requestId: '' }),
  ORGANIZATION_NOT_FOUND: async (silo) => projectNames((await silo.signUp()).api, newId('org_us')),
  PROJECT_NOT_FOUND: async (silo) =>
    (await silo.signUp()).api.projects.getProject({ projectId: newId('prj') }),
  MOVE_NOT_FOUND: async (silo) =>
    (await silo.signUp()).api.projects.getMove({ moveId: newId('mov') }),
  EVENT_DELETION_NOT_FOUND: async (silo) => {
    const { api, projectId } = await silo.signUp();
    return await api.events.getEventDeletion({ projectId, deletionId: newId('evd') });
  },
  MEMBER_NOT_FOUND: async (silo) => {
    const { api, organization } = await silo.signUp();
    const which = { organizationId: organization.id, accountId: newId('acc') };
    return await api.organizations.removeMember({ ...which, ...unconditional });
  },
  INVITE_NOT_FOUND: async (silo) =>
    (await silo.signUp()).api.organizations.acceptInvite({ code: 'none', requestId: '' }),
  KEY_NOT_FOUND: async (silo) =>
    (await silo.signUp()).api.apiKeys.getApiKey({ keyId: newId('key') }),
  EMAIL_TAKEN: async (silo) => {
    const { account } = await silo.signUp();
    return await silo.as().accounts.createAccount(newAccount(account.email));
  },
  ALREADY_MEMBER: async (silo) => {
    const ada = await silo.signUp();
    return await invite(ada, ada.account.email, ada.organization.id);
  },
  LAST_OWNER: async (silo) => {
    const { api, organization } = await silo.signUp();
    const which = { organizationId: organization.id, requestId: '' };
    return await api.organizations.leaveOrganization(which);
  },
  ORGANIZATION_NOT_EMPTY: async (silo) => {
    const { api, organization } = await silo.signUp();
    const which = { organizationId: organization.id, endDeletedProjects: true, ...unconditional };
    return await api.organizations.deleteOrganization(which);
  },
  LAST_PROJECT: async (silo) => {
    const { api, projectId } = await silo.signUp();
    return await moveProject(api, projectId, (await createOrganization(api)).organizationId);
  },
  ALREADY_THERE: async (silo) => {
    const { api, projectId, organization } = await silo.signUp();
    return await moveProject(api, projectId, organization.id);
  },
  CROSS_REGION: async (silo) => {
    const { api, projectId } = await silo.signUp();
    return await moveProject(api, projectId, newId('org_eu'));
  },
  PROJECT_LIMIT: async (silo) => {
    const { api, organization } = await silo.signUp();
    return await createProject(api, organization.id);
  },
  PROJECT_NOT_ACTIVE: (silo) =>
    inRace('PROJECT_NOT_ACTIVE', async () => {
      const { api, projectId } = await silo.signUp();
      const remove = () => api.projects.deleteProject({ projectId, ...unconditional });
      return Array.from({ length: 8 }, remove);
    }),
  PROJECT_NOT_DELETED: async (silo) => {
    const { api, projectId } = await silo.signUp();
    return await api.projects.undeleteProject({ projectId, requestId: '' });
  },
  MOVE_IS_UNDO: async (silo) => {
    const { undo } = await movedProject(silo);
    const back = present((await undo()).move).id;
    return await undo(back);
  },
  MOVE_UNDONE: async (silo) => {
    const { undo } = await movedProject(silo);
    await undo();
    return await undo();
  },
  MOVE_FINALIZED: async (silo) => {
    const { api, moveId, undo } = await movedProject(silo);
    await api.projects.finalizeMove({ moveId, requestId: '' });
    return await undo();
  },
  MOVE_SUPERSEDED: async (silo) => {
    const { api, projectId, sourceId, undo } = await movedProject(silo);
    await moveProject(api, projectId, sourceId);
    return await undo();
  },
  RESOURCE_LIMIT: async (silo) => {
    const { api } = await silo.signUp();
    for (let made = 1; made < 100; made++) await createKey(api, { scopes: ['*'] });
    return await createKey(api, { scopes: ['*'] });
  },
  ETAG_MISMATCH: async (silo) => {
    const { api, projectId } = await silo.signUp();
    return await api.projects.deleteProject({ projectId, etag: 'old', requestId: '' });
  },
  FINGERPRINT_MISMATCH: async (silo) => {
    const { api, projectId } = await silo.signUp();
    const which = { projectId, expectedFingerprint: '0123456789ab', requestId: '' };
    return await api.projectTokens.regenerateProjectToken(which);
  },
  PLAN_CHANGED: async (silo) => {
    const { api, projectId, sourceId } = await movedProject(silo);
    const move = { projectId, destinationOrganizationId: sourceId };
    const batch = { sourceOrganizationId: '', projectIds: [] };
    const { planFingerprint } = await api.projects.previewMove({ ...move, ...batch });
    await createKey(api, { scopes: ['*'], organizationIds: [sourceId] });
    return await api.projects.moveProject({ ...move, ...unconditional, planFingerprint });
  },
  REQUEST_IN_PROGRESS: async (silo) => {
    const { api, organizationId } = await upgraded(silo);
    const plans = [Plan.PLAN_SCALE, Plan.PLAN_ENTERPRISE, Plan.PLAN_FREE];
    return await inRace('REQUEST_IN_PROGRESS', async () =>
      plans.map((plan) => api.billing.changePlan({ organizationId, plan, ...unconditional })),
    );
  },
  REQUEST_ID_REUSED: async (silo) => {
    const { api, organizationId } = await upgraded(silo);
    await createProject(api, organizationId, { name: 'One', requestId: 'same' });
    return await createProject(api, organizationId, { name: 'Other', requestId: 'same' });
  },
  BILLING_DETAILS_REQUIRED: async (silo) => {
    const { api, organization } = await silo.signUp();
    const wanted = { organizationId: organization.id, plan: Plan.PLAN_SCALE };
    return await api.billing.changePlan({ ...wanted, ...unconditional });
  },
  PLAN_LIMIT_EXCEEDED: async (silo) => {
    const { api, organizationId } = await upgraded(silo);
    await createProject(api, organizationId);
    const wanted = { organizationId, plan: Plan.PLAN_FREE };
    return await api.billing.changePlan({ ...wanted, ...unconditional });
  },
  PLAN_REQUIRED: async (silo, other) => {
    const { api, projectId } = await silo.signUp();
    const { organization } = await other.signUp();
    const to = { destinationRegion: 'eu', destinationOrganizationId: organization.id };
    return await api.migrations.previewMigration({ projectId, ...to });
  },
  MIGRATION_NOT_FOUND: async (silo) => {
    const { api, organization } = await silo.signUp();
    const migrationId = newId('mig_us');
    return await api.migrations.getMigration({ migrationId, organizationId: organization.id });
  },
  MIGRATION_STATE: async (from, to) => {
    const migrant = await newMigrant({ from, to });
    const { source, destination } = migrant;
    const which = { migrationId: (await requested(migrant)).id, requestId: '' };
    const of = (owner: SignedUp) => ({ ...which, organizationId: owner.organization.id });
    await source.api.migrations.cancelMigration(of(source));
    return await destination.api.migrations.acceptMigration(of(destination));
  },
  MIGRATION_IN_PROGRESS: async (from, to) => {
    const migrant = await newMigrant({ from, to });
    await requested(migrant);
    const again = { ...planOf(migrant), planFingerprint: '', requestId: '' };
    return await migrant.source.api.migrations.requestMigration(again);
  },
  UNKNOWN_METHOD: callUnknownMethod,
};

/** Documents of one collection of a service. */
function collection({ mongo, databasePrefix }: TestSilo, service: string, name: string) {
  return mongo.db(`${databasePrefix}_${service}`).collection<{ _id: string | number }>(name);
}

/** Reasons that occur only while a Silo has a fault, which each causes in its own Silo. */
const inTrouble: Partial<Record<ReasonName, Trigger>> = {
  SIGNUP_CLOSED: async () => {
    await using closed = await startTestSilo({ signup: 'closed' });
    return await closed.as().accounts.createAccount(newAccount(email));
  },
  NOT_READY: async (silo) => {
    // Like the state between the two steps of a CreateProject.
    const { api, projectId } = await silo.signUp();
    await collection(silo, 'token', 'projects').deleteOne({ _id: projectId });
    return await api.projectTokens.getProjectToken({ projectId });
  },
  DEPENDENCY_UNAVAILABLE: withoutPeers,
  DRAINING: drainingStream,
  RATE_LIMITED: tooManyCalls,
  PROPAGATION_UNCONFIRMED: async (silo) => {
    // Its lease lasts longer than the caller waits, which on a busy machine may be too short for
    // the change.
    const { api, projectId } = await silo.signUp();
    await using _guard = await addSilentGuard(silo);
    const regeneration = { projectId, expectedFingerprint: '', requestId: '' };
    return await inRace('PROPAGATION_UNCONFIRMED', async () => [
      api.projectTokens.regenerateProjectToken(regeneration, { deadlineMs: 2_500 }),
    ]);
  },
  LOG_COMPACTED: async (silo) => {
    await silo.signUp();
    const { eventLog } = silo.internal().org;
    await eventLog.getHead({});
    await collection(silo, 'org', 'events').deleteOne({ _id: 1 });
    const all = { afterSequence: 0, batchSize: 0, follow: false };
    for await (const { head } of eventLog.readEvents(all)) present(head);
    return undefined;
  },
  UNDO_EXPIRED: async (silo) => {
    // As if 7 days had passed.
    const { moveId, undo } = await movedProject(silo);
    const undoExpireTime = new Date();
    await collection(silo, 'project', 'moves').updateOne(
      { _id: moveId },
      { $set: { undoExpireTime } },
    );
    return await undo();
  },
  PROJECT_GONE: async (silo) => {
    // Like the state after its purge, 7 days after the deletion.
    const { projectId, undo } = await movedProject(silo);
    await collection(silo, 'project', 'projects').deleteOne({ _id: projectId });
    return await undo();
  },
  INTERNAL: async (silo) => {
    // A document that no version of Silo has written.
    const { api, projectId } = await silo.signUp();
    const createTime = 'no time';
    await collection(silo, 'project', 'projects').updateOne(
      { _id: projectId },
      { $set: { createTime } },
    );
    return await api.projects.getProject({ projectId });
  },
  CALL_ENDED: async (silo) => {
    // Another transaction holds the document that this one must change.
    const projects = collection(silo, 'project', 'projects');
    return await inRace('CALL_ENDED', async () => {
      const { api, projectId } = await silo.signUp();
      const session = silo.mongo.startSession();
      session.startTransaction();
      await projects.updateOne({ _id: projectId }, { $set: { held: true } }, { session });
      const deletion = { projectId, ...unconditional };
      const deleting = api.projects.deleteProject(deletion, { deadlineMs: 2_500 });
      return [deleting.finally(() => session.endSession())];
    });
  },
};

/** The trigger of each reason. */
export const refusals: Partial<Record<ReasonName, Trigger>> = { ...byCallers, ...inTrouble };
