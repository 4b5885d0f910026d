import { isDeepStrictEqual } from 'node:util';
import { reasonName } from '@silo/errors/reason-name.ts';
import { SiloError } from '@silo/errors/silo-error.ts';
import { Plan } from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { Member, Organization } from '@silo/protos/gen/silo/org/v1/organization.ts';
import { Project } from '@silo/protos/gen/silo/project/v1/project.ts';
import type {
  AccessChange,
  PreviewMoveResponse,
} from '@silo/protos/gen/silo/project/v1/project_service.ts';
import type { ExecutionContext } from 'ava';
import fc from 'fast-check';
import { createKey, join } from '../authorization/world.ts';
import type { SignedUp } from '../harness/clients.ts';
import type { TestSilo } from '../harness/silo.ts';
import {
  type Facts,
  type OracleMove,
  type OracleOutcome,
  outcomeOf,
  readFacts,
} from './move-oracle.ts';
import { moveBatch, previewBatch } from './move-support.ts';
import { choosePlan, createProject, moveProject, present, scenarios } from './support.ts';

const test = scenarios();
const { LEVEL_ADMIN, LEVEL_MEMBER } = Level;
const plans = [Plan.PLAN_SCALE, Plan.PLAN_PAY_AS_YOU_GO, Plan.PLAN_SCALE, Plan.PLAN_FREE];

/** Some accounts, the organizations that they are in, and what is created there. */
type World = {
  silo: TestSilo;
  people: SignedUp[];
  organizationIds: string[];
  /** The owner of each organization. */
  owners: ReadonlyMap<string, SignedUp>;
  projectIds: string[];
  keys: { owner: SignedUp; id: string }[];
};

/** An action in the world; the numbers select its objects. */
type Step = { kind: keyof typeof acts; a: number; b: number; c: number };

/** A preview, actions after it, and the move with its fingerprint. */
type Round = { mover: number; from: number; to: number; projects: number[]; between: Step[] };

function pick<T>(list: readonly T[], index: number): T {
  return present(list[index % list.length]);
}

/** An organization with its owner, who has the most access there. */
function place({ organizationIds, owners }: World, index: number) {
  const organizationId = pick(organizationIds, index);
  return { organizationId, owner: present(owners.get(organizationId)) };
}

/** The possible actions. An action that is not allowed does nothing. */
const acts = {
  join: async (world: World, { a, b, c }: Step) => {
    const { organizationId, owner } = place(world, b);
    const level = pick([LEVEL_MEMBER, LEVEL_ADMIN], c);
    await join(owner, pick(world.people, a), level, organizationId);
  },
  remove: async (world: World, { a, b }: Step) => {
    const { organizationId, owner } = place(world, b);
    const which = { organizationId, accountId: pick(world.people, a).account.id };
    await owner.api.organizations.removeMember({ ...which, etag: '', requestId: '' });
  },
  setLevel: async (world: World, { a, b, c }: Step) => {
    const { organizationId, owner } = place(world, b);
    const which = { organizationId, accountId: pick(world.people, a).account.id };
    const level = pick([LEVEL_MEMBER, LEVEL_ADMIN], c);
    const member = Member.fromPartial({ ...which, level });
    await owner.api.organizations.updateMember({ member, updateMask: undefined, requestId: '' });
  },
  lock: async (world: World, { b, c }: Step) => {
    const { organizationId: id, owner } = place(world, b);
    await owner.api.organizations.updateOrganization({
      organization: Organization.fromPartial({ id, membersMayCreateProjects: c % 2 === 0 }),
      updateMask: ['members_may_create_projects'],
      requestId: '',
    });
  },
  rename: async ({ people, projectIds }: World, { a, b, c }: Step) => {
    const project = Project.fromPartial({ id: pick(projectIds, b), name: `Renamed ${c}` });
    const { projects } = pick(people, a).api;
    await projects.updateProject({ project, updateMask: ['name'], requestId: '' });
  },
  plan: async (world: World, { b, c }: Step) => {
    const { organizationId, owner } = place(world, b);
    await choosePlan(owner.api, organizationId, pick(plans, c));
  },
  createProject: async (world: World, { b }: Step) => {
    const { organizationId, owner } = place(world, b);
    world.projectIds.push((await createProject(owner.api, organizationId)).id);
  },
  deleteProject: async ({ people, projectIds }: World, { a, b }: Step) => {
    const projectId = pick(projectIds, b);
    await pick(people, a).api.projects.deleteProject({ projectId, etag: '', requestId: '' });
  },
  undeleteProject: async ({ people, projectIds }: World, { a, b }: Step) => {
    const projectId = pick(projectIds, b);
    await pick(people, a).api.projects.undeleteProject({ projectId, requestId: '' });
  },
  moveAnother: async (world: World, { a, b, c }: Step) => {
    const { organizationId } = place(world, c);
    await moveProject(pick(world.people, a).api, pick(world.projectIds, b), organizationId);
  },
  createKey: async (world: World, { a, b, c }: Step) => {
    const owner = pick(world.people, a);
    const { organizationId } = place(world, b);
    const projectId = pick(world.projectIds, b);
    const restriction = pick(
      [
        {},
        { organizationIds: [organizationId] },
        { projectIds: [projectId] },
        { organizationIds: [organizationId], projectIds: [projectId] },
      ],
      c,
    );
    const scope = pick(['*', 'project:read', 'event:write', 'billing:read'], b + c);
    const { apiKey } = await createKey(owner.api, { scopes: [scope], ...restriction });
    world.keys.push({ owner, id: apiKey.id });
  },
  disableKey: async ({ keys }: World, { a }: Step) => {
    const { owner, id } = pick(keys, a);
    await owner.api.apiKeys.disableApiKey({ keyId: id, etag: '', requestId: '' });
  },
  enableKey: async ({ keys }: World, { a }: Step) => {
    const { owner, id } = pick(keys, a);
    await owner.api.apiKeys.enableApiKey({ keyId: id, etag: '', requestId: '' });
  },
  deleteKey: async ({ keys }: World, { a }: Step) => {
    const { owner, id } = pick(keys, a);
    await owner.api.apiKeys.deleteApiKey({ keyId: id, etag: '', requestId: '' });
  },
};

async function act(world: World, step: Step): Promise<void> {
  try {
    await acts[step.kind](world, step);
  } catch (error) {
    if (!(error instanceof SiloError)) throw error;
  }
}

/**
 * Three organizations of three accounts, each a member of all three, and a fourth account in none.
 */
async function createWorld(silo: TestSilo): Promise<World> {
  const names = ['Ada', 'Bob', 'Carol', 'Dan'];
  const people = await Promise.all(names.map((name) => silo.signUp(name)));
  const owners = people.slice(0, 3);
  const organizationIds = owners.map(({ organization }) => organization.id);
  const projectIds = owners.map(({ projectId }) => projectId);
  const keys: World['keys'] = [];
  for (const [index, owner] of owners.entries()) {
    const organizationId = owner.organization.id;
    await choosePlan(
      owner.api,
      organizationId,
      index === 0 ? Plan.PLAN_SCALE : Plan.PLAN_PAY_AS_YOU_GO,
    );
    for (const other of owners.filter((each) => each !== owner)) {
      await join(owner, other, index === 0 ? LEVEL_MEMBER : LEVEL_ADMIN);
    }
    for (let made = 1; made < 4; made++) {
      projectIds.push((await createProject(owner.api, organizationId)).id);
    }
    const { apiKey } = await createKey(owner.api, {
      scopes: ['*'],
      organizationIds: [organizationId],
    });
    keys.push({ owner, id: apiKey.id });
  }
  const owned = owners.map((owner) => [owner.organization.id, owner] as const);
  return { silo, people, organizationIds, owners: new Map(owned), projectIds, keys };
}

/** Asserts that the preview equals the oracle. */
function sameAsOracle(
  t: ExecutionContext,
  preview: PreviewMoveResponse,
  expected: OracleOutcome,
  { facts, mover }: { facts: Facts; mover: SignedUp },
): void {
  const ownerOfKey = new Map(facts.keys.map(({ _id, accountId }) => [_id, accountId]));
  const members = (change: AccessChange | undefined) =>
    present(change).members.map(({ accountId }) => accountId);
  const keyCount = (change: AccessChange | undefined) =>
    (change?.ownKeyCount ?? 0) + (change?.otherKeyCount ?? 0);
  const keyIds = (pairs: string[]) => [...new Set(pairs.map((pair) => pair.split(' ')[0] ?? ''))];
  const own = (ids: string[]) => ids.filter((id) => ownerOfKey.get(id) === mover.account.id);
  const failed = preview.checks.filter(({ passed }) => !passed);
  t.deepEqual(
    failed.map(({ reason }) => reasonName(reason)),
    expected.refusals,
  );
  t.is(preview.allowed, expected.refusals.length === 0);
  t.deepEqual(members(preview.losing), expected.losingMembers);
  t.deepEqual(members(preview.gaining), expected.gainingMembers);
  for (const [change, pairs] of [
    [preview.losing, expected.losingKeys],
    [preview.gaining, expected.gainingKeys],
  ] as const) {
    const ids = keyIds(pairs);
    t.is(keyCount(change), ids.length);
    t.deepEqual(
      present(change).ownKeys.map(({ keyId }) => keyId),
      own(ids),
    );
  }
}

/** The reasons of the move's refusal; empty if it happened. */
async function reasonsOf(move: Promise<unknown>): Promise<string[]> {
  try {
    await move;
    return [];
  } catch (error) {
    if (!(error instanceof SiloError)) throw error;
    const all = error.details.preconditionFailure?.map(({ type }) => type) ?? [];
    return [...new Set([reasonName(error.reason), ...all])];
  }
}

/** An account that may move from one organization to the other, if there is one. */
function moverOf(
  { memberships }: Facts,
  people: readonly SignedUp[],
  { from, to }: { from: string; to: string },
  index: number,
): SignedUp {
  const isIn = (organizationId: string, { account }: SignedUp, least: Level) =>
    memberships.some(
      (each) =>
        each.organizationId === organizationId &&
        each.accountId === account.id &&
        each.level >= least,
    );
  const able = people.filter(
    (each) => isIn(from, each, LEVEL_ADMIN) && isIn(to, each, LEVEL_MEMBER),
  );
  return pick(able.length > 0 ? able : people, index);
}

/** Executes one round; returns how it ended, for the statistics. */
async function live(t: ExecutionContext, world: World, round: Round): Promise<string> {
  const { silo, people, organizationIds } = world;
  const before = await readFacts(silo);
  const to = pick(organizationIds, round.to);
  const from = pick(organizationIds, round.from);
  const mover = moverOf(before, people, { from, to }, round.mover);
  const there = before.projects.filter(({ organizationId }) => organizationId === from);
  if (there.length === 0) return 'nothing to move';
  const chosen = round.projects.map((index) => pick(there, index)._id);
  const projectIds = [...new Set(chosen)];
  const wanted = { from, to, projectIds };
  const preview = await previewBatch(mover.api, wanted).catch((error: unknown) => {
    if (error instanceof SiloError) return undefined;
    throw error;
  });
  if (preview === undefined) return 'hidden';
  const move: OracleMove = { moverId: mover.account.id, ...wanted };
  const expected = outcomeOf(before, move);
  sameAsOracle(t, preview, expected, { facts: before, mover });
  // Many actions are to affect the organizations of the move.
  const near = { ...world, organizationIds: [from, to, from, to, ...organizationIds] };
  for (const step of round.between) await act(near, step);
  const now = outcomeOf(await readFacts(silo), move);
  const { planFingerprint } = preview;
  const reasons = await reasonsOf(moveBatch(mover.api, wanted, { planFingerprint }));
  if (isDeepStrictEqual(now, expected)) {
    const all = [...new Set(expected.refusals)];
    // A missing permission is reported alone.
    const reported = all[0] === 'ADMIN_REQUIRED' ? ['ADMIN_REQUIRED'] : all;
    const mayStill = reasons[0] === 'ADMIN_REQUIRED' || reasons[0]?.endsWith('_NOT_FOUND');
    if (!mayStill || round.between.length === 0) t.deepEqual(reasons, reported);
    return reasons.length === 0 ? 'moved' : 'refused';
  }
  t.not(reasons.length, 0, 'a changed plan does not move');
  t.log(reasons.join());
  return reasons.includes('PLAN_CHANGED') ? 'changed' : 'refused otherwise';
}

const number = fc.nat({ max: 99 });
const steps = fc.record({
  kind: fc.constantFrom(...(Object.keys(acts) as (keyof typeof acts)[])),
  ...{ a: number, b: number, c: number },
});
const rounds = fc.record({
  ...{ mover: number, from: number, to: number },
  projects: fc.array(number, { minLength: 1, maxLength: 3 }),
  between: fc.oneof(
    { weight: 1, arbitrary: fc.constant<Step[]>([]) },
    { weight: 3, arbitrary: fc.array(steps, { minLength: 1, maxLength: 3 }) },
  ),
});

for (const walk of [1, 2, 3]) {
  test(`walk ${walk}: preview and move agree, and a plan that has changed since the preview never moves`, async (t) => {
    const property = fc.asyncProperty(
      fc.array(rounds, { minLength: 24, maxLength: 24 }),
      async (all) => {
        const world = await createWorld(t.context.silo);
        const ends: Record<string, number> = {};
        for (const round of all) {
          const end = await live(t, world, round);
          ends[end] = (ends[end] ?? 0) + 1;
        }
        t.log(JSON.stringify(ends));
      },
    );
    await fc.assert(property, { numRuns: 1, endOnFailure: true, includeErrorInReport: true });
  });
}
