/**
 * Each service killed (-9) in the middle of MoveProject: the project moves completely, or not at
 * all.
 */
import { randomUUID } from 'node:crypto';
import { Project } from '@silo/protos/gen/silo/project/v1/project.ts';
import type {
  MoveProjectResponse,
  UpdateProjectResponse,
} from '@silo/protos/gen/silo/project/v1/project_service.ts';
import test, { type ExecutionContext } from 'ava';
import { upgrade } from '../authorization/world.ts';
import { type SignedUp, withoutPropagation } from '../harness/clients.ts';
import { eventually, untilAnswered } from '../harness/eventually.ts';
import { steadyApi } from '../harness/steady.ts';
import { readStream } from '../invariants/stream.ts';
import { checkInvariants, invariantsHold } from '../invariants.ts';
import { type Held, holdCommand } from './fail-points.ts';
import {
  type FaultSilo,
  killDuring,
  killService,
  makeWhole,
  startDead,
  startFaultSilo,
  untilNumbered,
  untilPublished,
} from './fault-silo.ts';
import { newProject } from './story.ts';

let silo: FaultSilo;
let ada: SignedUp;
let destinationId: string;
test.before(async () => {
  silo = await startFaultSilo();
  ada = await silo.signUp('Ada');
  await upgrade(ada.api, ada.organization.id);
  const { organizations } = steadyApi(ada.api);
  const made = await organizations.createOrganization({ name: 'There', requestId: '' });
  destinationId = made.organization?.id ?? '';
  await upgrade(ada.api, destinationId);
});
test.beforeEach(() => makeWhole(silo));
test.after.always(() => silo?.[Symbol.asyncDispose]());

type Attempt = {
  projectId: string;
  move: () => Promise<MoveProjectResponse>;
  rename: () => Promise<UpdateProjectResponse>;
};

/** Requests to move and to rename a new project, which every call repeats. */
async function attempt(): Promise<Attempt> {
  const projectId = await newProject(ada.api, ada.organization.id, 'Moving');
  const request = {
    ...{ projectId, destinationOrganizationId: destinationId, etag: '', requestId: randomUUID() },
    planFingerprint: '',
  };
  const renaming = {
    project: Project.fromPartial({ id: projectId, name: `Renamed ${projectId}` }),
    ...{ updateMask: ['name'], requestId: randomUUID() },
  };
  return {
    projectId,
    move: async () => withoutPropagation(await ada.api.projects.moveProject(request)),
    rename: () => ada.api.projects.updateProject(renaming),
  };
}

async function ownerOf({ projectId }: Attempt): Promise<string | undefined> {
  const project = await silo.mongo
    .db('silo_project')
    .collection<{ _id: string; organizationId: string }>('projects')
    .findOne({ _id: projectId });
  return project?.organizationId;
}

async function movesOf({ projectId }: Attempt): Promise<string[]> {
  const found = await silo.mongo
    .db('silo_project')
    .collection('moves')
    .find({ projectIds: projectId })
    .toArray();
  return found.map(({ _id }) => String(_id));
}

/** The request has an answer, the same for every repeat, and one effect. */
async function movedOnce(t: ExecutionContext, attempted: Attempt): Promise<MoveProjectResponse> {
  const answer = await eventually(attempted.move);
  t.deepEqual(await untilAnswered(attempted.move), answer);
  t.is(await ownerOf(attempted), destinationId);
  t.deepEqual(await movesOf(attempted), [answer.move?.id ?? '']);
  t.deepEqual(await checkInvariants(silo), []);
  return answer;
}

const reads: Held[] = [
  { service: 'org', command: 'find', collection: 'memberships', outcome: 'lost' },
  { service: 'token', command: 'find', collection: 'key_secrets', outcome: 'lost' },
  { service: 'org', command: 'find', collection: 'organizations', outcome: 'lost' },
];

for (const held of reads) {
  test.serial(
    `${held.service} killed while it reads ${held.collection}: the project moves only by a repeat`,
    async (t) => {
      const attempted = await attempt();
      // A guard that has just started remembers nothing, so it must fetch.
      await killService(silo, 'project');
      await startDead(silo);
      const { outcome } = await killDuring(silo, held, attempted.move);
      t.is(await ownerOf(attempted), ada.organization.id);
      t.deepEqual(await checkInvariants(silo), []);
      await startDead(silo);
      const settled = await outcome;
      const answer = await movedOnce(t, attempted);
      // Repeats may have been answered after the restart.
      if (settled.status === 'fulfilled') t.deepEqual(settled.value, answer);
    },
  );
}

/** The transaction of the move, at its commit. */
const moving = { service: 'project', command: 'commitTransaction', collection: 'moves' } as const;

test.serial('billing killed in the middle: the move does not need it', async (t) => {
  const attempted = await attempt();
  const held: Held = { ...moving, outcome: 'done' };
  const answered = () => untilAnswered(attempted.move);
  const { outcome } = await killDuring(silo, held, answered, ['billing']);
  const settled = await outcome;
  await startDead(silo);
  t.deepEqual(settled, { status: 'fulfilled', value: await movedOnce(t, attempted) });
});

test.serial(
  'project killed before the commit reached the server: the project does not move until the repeat',
  async (t) => {
    const attempted = await attempt();
    const { outcome } = await killDuring(silo, { ...moving, outcome: 'lost' }, attempted.move);
    t.is((await outcome).status, 'rejected');
    await startDead(silo);
    t.is(await ownerOf(attempted), ada.organization.id);
    t.deepEqual(await movesOf(attempted), []);
    t.deepEqual(await checkInvariants(silo), []);
    await movedOnce(t, attempted);
  },
);

test.serial(
  'project killed between commit and response: the project has moved, and a retry returns the move',
  async (t) => {
    const attempted = await attempt();
    const { outcome } = await killDuring(silo, { ...moving, outcome: 'done' }, attempted.move);
    t.is((await outcome).status, 'rejected');
    await eventually(async () => {
      if ((await ownerOf(attempted)) !== destinationId)
        throw new Error('the commit has no effect yet');
    });
    t.deepEqual(await checkInvariants(silo), []);
    const [moveId] = await movesOf(attempted);
    await startDead(silo);
    t.is((await movedOnce(t, attempted)).move?.id, moveId);
  },
);

const counting: Held = {
  ...{ service: 'project', command: 'findAndModify', collection: 'log', outcome: 'lost' },
};
const placing: Held = { ...counting, command: 'insert', collection: 'events' };

for (const held of [counting, placing]) {
  test.serial(
    `project killed while a move is sequenced, at ${held.collection}: the project does not move until the repeat`,
    async (t) => {
      const attempted = await attempt();
      await untilNumbered(silo, 'project');
      const { outcome } = await killDuring(silo, held, attempted.move);
      t.is((await outcome).status, 'rejected');
      t.is(await ownerOf(attempted), ada.organization.id);
      t.deepEqual(await checkInvariants(silo), []);
      await startDead(silo);
      await movedOnce(t, attempted);
    },
  );
}

const sequencingSteps: (Held & { when: string; left: number })[] = [
  { when: 'between commit and sequencing', left: 1, ...counting },
  { when: 'during sequencing, while it holds the counter', left: 1, ...placing },
  {
    when: 'between sequencing and publishing',
    left: 0,
    ...{ service: 'project', command: 'commitTransaction', collection: 'events', outcome: 'done' },
  },
];

for (const { when, left, ...held } of sequencingSteps) {
  test.serial(`project killed ${when}: its next process continues there`, async (t) => {
    const attempted = await attempt();
    await untilNumbered(silo, 'project');
    // No caller waits for its sequence, which is given after the commit.
    const { outcome } = await killDuring(silo, held, attempted.rename);
    const settled = await outcome;
    const db = silo.mongo.db('silo_project');
    await eventually(async () => {
      if ((await db.collection('outbox').countDocuments()) !== left)
        throw new Error('the sequencing is not done yet');
    });
    t.deepEqual(await checkInvariants(silo), []);
    await startDead(silo);
    // Without another change, before anything else is committed there.
    await invariantsHold(t, silo);
    const answer = await untilAnswered(attempted.rename);
    t.is(answer.project?.name, `Renamed ${attempted.projectId}`);
    if (settled.status === 'fulfilled') t.deepEqual(settled.value, answer);
    await movedOnce(t, attempted);
  });
}

test.serial(
  'project killed before it records what it published: no event is stored twice in the stream',
  async (t) => {
    const attempted = await attempt();
    await untilPublished(silo, 'project');
    const held: Held = {
      service: 'project',
      command: 'update',
      collection: 'relays',
      outcome: 'lost',
    };
    // The first update that is held may record events that were published earlier.
    const { entered, release } = await holdCommand(silo.mongo, held);
    const moved = Promise.allSettled([attempted.move()]);
    try {
      await eventually(async () => {
        if ((await movedMessages(attempted)).length !== 1)
          throw new Error('it is not published yet');
      });
      await entered();
      await killService(silo, 'project');
    } finally {
      await release();
    }
    await moved;
    await startDead(silo);
    await movedOnce(t, attempted);
    await invariantsHold(t, silo);
    t.is((await movedMessages(attempted)).length, 1);
  },
);

async function movedMessages({ projectId }: Attempt) {
  const streamed = await readStream(silo);
  return streamed.filter(({ subject }) => subject === `project.moved.${projectId}`);
}
