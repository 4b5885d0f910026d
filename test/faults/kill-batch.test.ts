/**
 * A batch of 500, and its undo, while project or a service that it reads is killed (-9): all
 * projects move, or none.
 */
import { randomUUID } from 'node:crypto';
import type { Move } from '@silo/protos/gen/silo/project/v1/project.ts';
import test, { type ExecutionContext } from 'ava';
import { upgrade } from '../authorization/world.ts';
import type { SignedUp } from '../harness/clients.ts';
import { eventually, untilAnswered } from '../harness/eventually.ts';
import { steadyApi } from '../harness/steady.ts';
import { checkInvariants, invariantsHold } from '../invariants.ts';
import { moveBatch, previewBatch, undoMove } from '../scenarios/move-support.ts';
import type { Held } from './fail-points.ts';
import {
  type FaultSilo,
  killDuring,
  makeWhole,
  startDead,
  startFaultSilo,
  untilNumbered,
} from './fault-silo.ts';
import { newProject } from './story.ts';

const batchSize = 500;
const creatorsAtOnce = 8;

let silo: FaultSilo;
let ada: SignedUp;
let organizationIds: [string, string];
let projectIds: string[];
test.before(async () => {
  silo = await startFaultSilo();
  ada = await silo.signUp('Ada');
  await upgrade(ada.api, ada.organization.id);
  const { organizations } = steadyApi(ada.api);
  const made = await organizations.createOrganization({ name: 'There', requestId: '' });
  organizationIds = [ada.organization.id, made.organization?.id ?? ''];
  await upgrade(ada.api, organizationIds[1]);
  projectIds = [];
  const creating = Array.from({ length: creatorsAtOnce }, async () => {
    while (projectIds.length < batchSize) {
      const place = projectIds.push('') - 1;
      projectIds[place] = await newProject(ada.api, ada.organization.id, `Moving ${place}`);
    }
  });
  await Promise.all(creating);
});
test.beforeEach(() => makeWhole(silo));
test.after.always(() => silo?.[Symbol.asyncDispose]());

const projects = () =>
  silo.mongo
    .db('silo_project')
    .collection<{ _id: string; organizationId: string; moveId?: string }>('projects');

/** The one organization that has all 500, and the one move that brought them; fails otherwise. */
async function place(t: ExecutionContext): Promise<{ organizationId: string; moveId: string }> {
  const found = await projects()
    .find({ _id: { $in: projectIds } })
    .toArray();
  const places = new Set(found.map(({ organizationId, moveId }) => `${organizationId} ${moveId}`));
  t.is(found.length, batchSize);
  t.is(places.size, 1, 'all or none');
  const [organizationId = '', moveId = ''] = [...places][0]?.split(' ') ?? [];
  return { organizationId, moveId };
}

/** A request that moves the batch to the other organization, which every call repeats. */
async function attempt(t: ExecutionContext, { planned = false } = {}) {
  const { organizationId: from } = await place(t);
  const to = organizationIds.find((id) => id !== from) ?? '';
  const wanted = { from, to, projectIds };
  const planFingerprint = planned
    ? (await previewBatch(steadyApi(ada.api), wanted)).planFingerprint
    : '';
  const requestId = randomUUID();
  const call = () => moveBatch(ada.api, wanted, { planFingerprint, requestId });
  return { from, to, call };
}

/** The request has an answer, the same for every repeat, and one effect. */
async function doneOnce(
  t: ExecutionContext,
  { to, call }: { to: string; call: () => Promise<Move> },
): Promise<Move> {
  const move = await eventually(call);
  t.deepEqual(await untilAnswered(call), move);
  t.deepEqual(await place(t), { organizationId: to, moveId: move.id });
  t.is(move.projectIds.length, batchSize);
  t.deepEqual(await checkInvariants(silo), []);
  return move;
}

const inside: { when: string; held: Held }[] = [
  {
    when: 'while it takes the slots',
    held: { service: 'project', command: 'update', collection: 'slots', outcome: 'lost' },
  },
  {
    when: 'before the commit has reached the server',
    held: {
      service: 'project',
      command: 'commitTransaction',
      collection: 'moves',
      outcome: 'lost',
    },
  },
];

for (const { when, held } of inside) {
  test.serial(`project killed ${when}: no project moves until the repeat`, async (t) => {
    const attempted = await attempt(t);
    const { outcome } = await killDuring(silo, held, attempted.call);
    t.is((await outcome).status, 'rejected');
    t.is((await place(t)).organizationId, attempted.from);
    t.deepEqual(await checkInvariants(silo), []);
    await startDead(silo);
    await doneOnce(t, attempted);
  });
}

const committed: Held = {
  ...{ service: 'project', command: 'commitTransaction', collection: 'moves', outcome: 'done' },
};

test.serial(
  'project killed between commit and response: all have moved in one transaction, and a retry returns the move',
  async (t) => {
    await untilNumbered(silo, 'project');
    const attempted = await attempt(t);
    const { outcome } = await killDuring(silo, committed, attempted.call);
    t.is((await outcome).status, 'rejected');
    await eventually(async () => {
      const first = await projects().findOne({ _id: projectIds[0] ?? '' });
      if (first?.organizationId !== attempted.to) throw new Error('the commit has no effect yet');
    });
    const { organizationId, moveId } = await place(t);
    t.is(organizationId, attempted.to);
    // The events of one transaction have consecutive sequences, given at the commit, because no
    // other change runs.
    const last = await silo.mongo
      .db('silo_project')
      .collection('events')
      .find()
      .sort({ _id: -1 })
      .limit(batchSize)
      .toArray();
    t.true(
      last.every(({ event, body }) => event === 'moved' && JSON.parse(body).moveId === moveId),
    );
    t.deepEqual(await checkInvariants(silo), []);
    await startDead(silo);
    await invariantsHold(t, silo);
    t.is((await doneOnce(t, attempted)).id, moveId);
  },
);

for (const outcome of ['lost', 'done'] as const) {
  test.serial(
    `project killed at the commit of an undo (${outcome}): all projects are back, or none`,
    async (t) => {
      const moved = await attempt(t);
      const move = await untilAnswered(moved.call);
      const requestId = randomUUID();
      const undo = { to: moved.from, call: () => undoMove(ada.api, move.id, requestId) };
      const killed = await killDuring(silo, { ...committed, outcome }, undo.call);
      t.is((await killed.outcome).status, 'rejected');
      if (outcome === 'lost') t.is((await place(t)).organizationId, moved.to);
      t.deepEqual(await checkInvariants(silo), []);
      await startDead(silo);
      const back = await doneOnce(t, undo);
      t.is(back.undoOf, move.id);
    },
  );
}

const reads: Held[] = [
  { service: 'org', command: 'find', collection: 'memberships', outcome: 'lost' },
  { service: 'token', command: 'find', collection: 'api_keys', outcome: 'lost' },
];

for (const held of reads) {
  test.serial(
    `${held.service} killed while it lists the lost access: no project moves without the list, and a retry makes the planned move`,
    async (t) => {
      const attempted = await attempt(t, { planned: true });
      const { outcome } = await killDuring(silo, held, attempted.call);
      t.is((await place(t)).organizationId, attempted.from);
      await startDead(silo);
      const move = await doneOnce(t, attempted);
      const settled = await outcome;
      // Reads are repeated, so the request may have been answered after the restart.
      if (settled.status === 'fulfilled') t.deepEqual(settled.value, move);
    },
  );
}
