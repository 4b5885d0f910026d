import { randomBytes, randomUUID } from 'node:crypto';
import { status } from '@grpc/grpc-js';
import { reasonOf } from '@silo/errors/from-status.ts';
import { SiloError } from '@silo/errors/silo-error.ts';
import { Plan } from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { Organization } from '@silo/protos/gen/silo/org/v1/organization.ts';
import type { RemoveMemberRequest } from '@silo/protos/gen/silo/org/v1/organization_service.ts';
import { Project } from '@silo/protos/gen/silo/project/v1/project.ts';
import type { Document, MongoClient, Timestamp } from 'mongodb';
import { join, upgrade } from '../authorization/world.ts';
import type { Clients, SignedUp } from '../harness/clients.ts';
import { eventually } from '../harness/eventually.ts';
import { steadyApi } from '../harness/steady.ts';
import type { Deployment } from '../invariants/snapshot.ts';
import { delayCommits, releaseAll } from './fail-points.ts';
import { newProject } from './story.ts';

/** A deployment in which a member is removed. */
type Raced = Clients & Deployment;

/**
 * Ada's organizations and their projects, and Bob, a member who is removed from them repeatedly.
 */
export type Stage = {
  ada: SignedUp;
  bob: SignedUp;
  /** Where Bob changes projects, tokens, billing details and more. */
  teamId: string;
  projectIds: string[];
  /** The organization in which he changes the plan, which another service decides. */
  planId: string;
};

/** A change that was decided for Bob in an organization, and the time of its commit. */
type Decision = { event: string; organizationId: string; wallMs: number };

/** The result of one round. */
export type Round = {
  /** Mutations that had returned when the removals were sent. */
  answeredBefore: number;
  decided: number;
  refused: number;
  /** Changes decided after the removal from their organization had returned. */
  late: string[];
};

const unconditional = { etag: '', requestId: '' };
/** Events that follow an earlier decision of another service, and so may still come. */
const following = new Set(['org.organization_deleted', 'billing.plan_changed', 'token.created']);

/** Creates what is used in all rounds. */
export async function setStage(silo: Raced): Promise<Stage> {
  const [ada, bob] = await Promise.all([silo.signUp('Ada'), silo.signUp('Bob')]);
  const teamId = ada.organization.id;
  const { organizations } = steadyApi(ada.api);
  const made = await organizations.createOrganization({ name: 'Plans', requestId: '' });
  const planId = made.organization?.id ?? '';
  await Promise.all([
    upgrade(ada.api, teamId),
    upgrade(ada.api, planId),
    upgrade(bob.api, bob.organization.id),
  ]);
  const projectIds: string[] = [];
  for (let index = 0; index < 20; index++) {
    projectIds.push(await newProject(ada.api, teamId, `Project ${index}`));
  }
  return { ada, bob, teamId, projectIds, planId };
}

/**
 * Bob has a hundred mutations in progress, and Ada removes him from every organization meanwhile.
 * With `commitMs` the server delays each commit of project by that time.
 */
export async function removeDuring(
  silo: Raced,
  stage: Stage,
  { commitMs }: { commitMs?: number } = {},
): Promise<Round> {
  const { ada, bob } = stage;
  const emptyId = await newEmptyOrganization(stage);
  const movableIds = await joinAgain(stage, emptyId);
  const since = await lastWritten(silo.mongo);
  let answered = 0;
  if (commitMs !== undefined) await delayCommits(silo.mongo, 'project', commitMs);
  const calls = mutationsOf({ ...stage, emptyId, movableIds }).map((mutation) => mutation());
  const outcomes = calls.map(async (call) => {
    const [settled] = await Promise.allSettled([call]);
    answered++;
    return settled.status === 'fulfilled' ? 'OK' : (reasonOf(settled.reason) ?? settled.reason);
  });
  // When the first is decided, the others are at all stages.
  await Promise.any(calls);
  const answeredBefore = answered;
  const removed = (request: RemoveMemberRequest): Promise<boolean> =>
    eventually(async () => {
      try {
        await ada.api.organizations.removeMember(request);
        return true;
      } catch (error) {
        // If Bob has deleted the organization, he is not removed from it.
        const isGone = request.organizationId === emptyId && !isPassing(error);
        if (isGone) return false;
        throw error;
      }
    });
  const returnedMs = new Map<string, number>();
  await Promise.all(
    [stage.teamId, stage.planId, emptyId].map(async (organizationId) => {
      const which = { organizationId, accountId: bob.account.id, etag: '' };
      const returned = await removed({ ...which, requestId: randomUUID() });
      if (returned) returnedMs.set(organizationId, Date.now());
    }),
  );
  const all = await Promise.all(outcomes);
  if (commitMs !== undefined) await releaseAll(silo.mongo);
  const decisions = await decisionsSince(silo, since, bob.account.id);
  const late = decisions.filter(({ organizationId, wallMs }) => {
    const endMs = returnedMs.get(organizationId);
    return endMs !== undefined && wallMs > endMs;
  });
  return {
    answeredBefore,
    decided: all.filter((outcome) => outcome === 'OK').length,
    refused: all.filter((outcome) => outcome !== 'OK').length,
    late: late.map(({ event, organizationId, wallMs }) => {
      const lateMs = wallMs - (returnedMs.get(organizationId) ?? 0);
      return `${event} in ${organizationId}, ${lateMs} ms after the removal had returned`;
    }),
  };
}

/** Whether the same request may succeed soon. */
function isPassing(error: unknown): boolean {
  return error instanceof SiloError && error.code === status.UNAVAILABLE;
}

/** An organization that can be deleted, with Bob as a second owner. */
async function newEmptyOrganization({ ada, bob }: Stage): Promise<string> {
  const { organizations, projects } = steadyApi(ada.api);
  const made = await organizations.createOrganization({ name: 'Empty', requestId: '' });
  const organizationId = made.organization?.id ?? '';
  await projects.deleteProject({ projectId: made.projectId, ...unconditional });
  await join(ada, bob, Level.LEVEL_OWNER, organizationId);
  return organizationId;
}

/** Bob joins the organizations again, and there are projects that he can move away. */
async function joinAgain({ ada, bob, teamId, planId }: Stage, emptyId: string): Promise<string[]> {
  await join(ada, bob, Level.LEVEL_ADMIN, teamId);
  await join(ada, bob, Level.LEVEL_ADMIN, planId);
  const movableIds = ['One', 'Two', 'Three'].map((name) => newProject(ada.api, teamId, name));
  // So that the checks of the race are cached by then.
  await steadyApi(bob.api).organizations.getOrganization({ organizationId: emptyId });
  return await Promise.all(movableIds);
}

/**
 * A hundred mutations of all kinds that a member's access allows, most of them in services other
 * than org.
 */
function mutationsOf(at: Stage & { emptyId: string; movableIds: string[] }) {
  const { bob, teamId, planId, emptyId, movableIds, projectIds } = at;
  const { organizations, projects, projectTokens, billing } = bob.api;
  const home = bob.organization.id;
  const many = <Of>(count: number, of: (index: number) => Of): Of[] =>
    Array.from({ length: count }, (_, index) => of(index));
  const projectOf = (index: number) => projectIds[index % projectIds.length] ?? '';
  // Not UUIDs, because stored UUIDs are taken for request ids.
  const named = () => `Of ${randomBytes(6).toString('hex')}`;
  const mutations: (() => Promise<unknown>)[] = [
    ...many(44, (index) => () => {
      const project = Project.fromPartial({ id: projectOf(index), name: named() });
      return projects.updateProject({ project, updateMask: ['name'], requestId: '' });
    }),
    ...movableIds.map((projectId) => () => {
      const ends = { projectId, destinationOrganizationId: home };
      return projects.moveProject({ ...ends, ...unconditional, planFingerprint: '' });
    }),
    ...many(20, (index) => () => {
      const request = { projectId: projectOf(index), expectedFingerprint: '', requestId: '' };
      return projectTokens.regenerateProjectToken(request);
    }),
    ...many(12, () => () => {
      const details = { companyName: named(), email: 'b@example.com', address: 'x', taxId: '' };
      const billingDetails = { ...details, countryCode: 'DE' };
      const request = { organizationId: teamId, billingDetails, ...unconditional };
      return billing.updateBillingDetails(request);
    }),
    ...many(6, () => () => {
      const request = { organizationId: teamId, name: named(), settings: undefined };
      return projects.createProject({ ...request, requestId: '' });
    }),
    ...many(3, () => () => {
      const organization = Organization.fromPartial({ id: teamId, name: named() });
      const request = { organization, updateMask: ['name'], requestId: '' };
      return organizations.updateOrganization(request);
    }),
    ...many(10, (index) => () => {
      const plan = index % 2 === 0 ? Plan.PLAN_PAY_AS_YOU_GO : Plan.PLAN_SCALE;
      return billing.changePlan({ organizationId: planId, plan, ...unconditional });
    }),
    ...many(
      2,
      () => () =>
        organizations.deleteOrganization({
          organizationId: emptyId,
          endDeletedProjects: true,
          ...unconditional,
        }),
    ),
  ];
  // In random order, so that no kind is favoured.
  return mutations.sort(() => Math.random() - 0.5);
}

async function lastWritten(mongo: MongoClient): Promise<Timestamp> {
  const [last] = await oplog(mongo).find().sort({ $natural: -1 }).limit(1).toArray();
  return last?.ts;
}

function oplog(mongo: MongoClient) {
  return mongo.db('local').collection('oplog.rs');
}

/**
 * The changes decided for an account, by MongoDB's own record: when a transaction commits, its
 * primary records it with the time.
 */
async function decisionsSince(
  { mongo, databasePrefix }: Deployment,
  since: Timestamp,
  accountId: string,
): Promise<Decision[]> {
  const written = oplog(mongo).find({ ts: { $gt: since } });
  const decisions: Decision[] = [];
  for await (const entry of written) {
    const operations: Document[] = entry.o?.applyOps ?? [entry];
    for (const { op, ns, o } of operations) {
      const [, service] = String(ns).match(/^(.*)\.outbox$/) ?? [];
      if (op !== 'i' || !service?.startsWith(`${databasePrefix}_`)) continue;
      if (o.actor !== accountId) continue;
      const name = service.slice(databasePrefix.length + 1);
      for (const { event, body } of o.events) {
        const emitted = JSON.parse(body);
        const organizationId = emitted.organizationId ?? emitted.oldOrganizationId ?? '';
        const decided = { event: `${name}.${event}`, organizationId, wallMs: +entry.wall };
        if (!following.has(decided.event)) decisions.push(decided);
      }
    }
  }
  return decisions;
}
