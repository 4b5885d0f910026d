/** NATS is down, and MongoDB's primary steps down: no event is lost or published twice. */
import { randomUUID } from 'node:crypto';
import { SiloError } from '@silo/errors/silo-error.ts';
import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import test from 'ava';
import { upgrade } from '../authorization/world.ts';
import type { SignedUp } from '../harness/clients.ts';
import { eventually, untilAnswered } from '../harness/eventually.ts';
import { steadyApi } from '../harness/steady.ts';
import { readSnapshot } from '../invariants/snapshot.ts';
import { readStream } from '../invariants/stream.ts';
import { checkInvariants, invariantsHold } from '../invariants.ts';
import { releaseAll } from './fail-points.ts';
import {
  type FaultSilo,
  killService,
  makeWhole,
  processesOf,
  startDead,
  startFaultSilo,
} from './fault-silo.ts';
import { newProject } from './story.ts';

let silo: FaultSilo;
let ada: SignedUp;
let hereId: string;
let thereId: string;
test.before(async () => {
  silo = await startFaultSilo();
  ada = await silo.signUp('Ada');
  hereId = ada.organization.id;
  await upgrade(ada.api, hereId);
  const { organizations } = steadyApi(ada.api);
  const made = await organizations.createOrganization({ name: 'There', requestId: '' });
  thereId = made.organization?.id ?? '';
  await upgrade(ada.api, thereId);
});
test.beforeEach(() => makeWhole(silo));
test.after.always(() => silo?.[Symbol.asyncDispose]());

async function move(
  projectId: string,
  destinationOrganizationId: string,
  requestId = randomUUID(),
) {
  const ends = { projectId, destinationOrganizationId };
  const request = { ...ends, etag: '', requestId, planFingerprint: '' };
  const { move: made } = await untilAnswered(() => ada.api.projects.moveProject(request));
  return made?.id ?? '';
}

async function publishedMoves(projectId: string): Promise<string[]> {
  const streamed = await readStream(silo);
  const moved = streamed.filter(({ subject }) => subject === `project.moved.${projectId}`);
  return moved.map(({ body }) => String(JSON.parse(body).moveId));
}

test.serial('health follows a MongoDB that stands still and continues', async (t) => {
  const services = processesOf(silo);
  await eventually(async () => {
    silo.mongod.signal('SIGSTOP');
    try {
      // It takes at most 3 s if nothing else is slow; the driver alone would take 15 each time.
      await Promise.all(services.map((each) => each.untilNotServing(12_000)));
    } finally {
      silo.mongod.signal('SIGCONT');
      await Promise.all(services.map((each) => each.untilServing()));
    }
  });
  t.pass();
});

type Disturbance = { what: string; disturb: () => Promise<void> };

const disturbances: Disturbance[] = [
  {
    what: 'MongoDB’s primary steps down',
    disturb: async () => {
      const admin = silo.mongo.db('admin');
      const term = async () => Number((await admin.command({ replSetGetStatus: 1 })).term);
      const before = await term();
      // It may respond or close the connection: check the term.
      await admin.command({ replSetStepDown: 1, force: true }).catch(() => {});
      await eventually(async () => {
        if ((await term()) <= before) throw new Error('there was no election yet');
      });
    },
  },
  {
    what: 'MongoDB is killed and starts again',
    disturb: async () => {
      await silo.mongod.kill();
      await silo.mongod.start();
    },
  },
];

for (const { what, disturb } of disturbances) {
  test.serial(`${what} during many changes: each is made once`, async (t) => {
    const workers = await Promise.all(
      Array.from({ length: 6 }, async (_, index) => {
        const projectId = await newProject(ada.api, hereId, `Worker ${index}`);
        return { projectId, moves: [] as string[], fingerprints: [] as string[] };
      }),
    );
    let isOver = false;
    const rounds = workers.map(async (worker) => {
      const { projectId, moves, fingerprints } = worker;
      for (let round = 0; !isOver; round++) {
        const [moving, regenerating] = [randomUUID(), randomUUID()];
        const destination = round % 2 === 0 ? thereId : hereId;
        moves.push(await eventually(() => move(projectId, destination, moving)));
        const request = { projectId, expectedFingerprint: '', requestId: regenerating };
        const { projectToken } = await eventually(() =>
          ada.api.projectTokens.regenerateProjectToken(request),
        );
        fingerprints.push(projectToken?.fingerprint ?? '');
      }
    });
    const signUps = Array.from({ length: 4 }, (_, index) => {
      const request = {
        ...{ email: `${randomUUID()}@example.com`, displayName: `Newcomer ${index}` },
        ...{ organizationName: 'New', requestId: randomUUID() },
      };
      return eventually(() => silo.as().accounts.createAccount(request));
    });
    const all = Promise.allSettled([...rounds, ...signUps]);
    try {
      await eventually(() => {
        if (workers.some(({ moves }) => moves.length < 2))
          throw new Error('a writer has made fewer than two moves');
      });
      const before = workers.map(({ moves }) => moves.length);
      await disturb();
      await eventually(() => {
        const hasGoneOn = workers.every(
          ({ moves }, index) => moves.length >= (before[index] ?? 0) + 3,
        );
        if (!hasGoneOn) throw new Error('no primary that takes changes again');
      });
    } finally {
      isOver = true;
    }
    t.deepEqual(
      (await all).filter(({ status }) => status === 'rejected'),
      [],
    );
    await invariantsHold(t, silo);
    const { logs, project } = await readSnapshot(silo);
    for (const { projectId, moves, fingerprints } of workers) {
      t.is(new Set(moves).size, moves.length);
      const stored = project.moves.filter((each) => each.projectIds.includes(projectId));
      t.deepEqual(stored.map(({ _id }) => _id).sort(), moves.toSorted());
      const created = logs.token.emitted.filter(
        ({ name, subject }) => name === 'token.created' && subject === projectId,
      );
      const emitted = created.map(({ body }) => String(JSON.parse(body).fingerprint));
      t.deepEqual(emitted.slice(1), fingerprints);
    }
  });
}

for (const command of ['find', 'update']) {
  test.serial(
    `MongoDB fails at ${command} of a saga: the caller gets a retryable error, and the change is made once`,
    async (t) => {
      const request = {
        ...{ email: `${randomUUID()}@example.com`, displayName: 'Ada' },
        ...{ organizationName: 'Ada’s', requestId: randomUUID() },
      };
      const create = () => silo.as().accounts.createAccount(request);
      // The call that begins a saga need not look for it: a repeat does.
      if (command === 'find') await untilAnswered(create);
      const fails = { failCommands: [command], namespace: 'silo_org.sagas', errorCode: 50 };
      await silo.mongo.db('admin').command({
        ...{ configureFailPoint: 'failCommand', mode: 'alwaysOn' },
        data: { ...fails, appName: 'silo-org' },
      });
      const refused = await t.throwsAsync(create, { instanceOf: SiloError });
      t.is(refused?.reason, ErrorReason.ERROR_REASON_DEPENDENCY_UNAVAILABLE);
      await releaseAll(silo.mongo);
      const answer = await eventually(create);
      t.deepEqual(await untilAnswered(create), answer);
      t.deepEqual(await checkInvariants(silo), []);
    },
  );
}

test.serial(
  'NATS killed before a move: the move is made, and published when NATS is back',
  async (t) => {
    const projectId = await newProject(ada.api, hereId, 'Without NATS');
    await silo.natsServer.kill();
    const moveIds = [await move(projectId, thereId), await move(projectId, hereId)];
    const { logs } = await readSnapshot(silo);
    t.true(logs.project.emitted.some(({ body }) => body.includes(moveIds[1] ?? '')));
    await silo.natsServer.start();
    await invariantsHold(t, silo);
    t.deepEqual(await publishedMoves(projectId), moveIds);

    // As before, but hung, and the relay dies with what it has sent and nobody has acknowledged.
    silo.natsServer.signal('SIGSTOP');
    moveIds.push(await move(projectId, thereId));
    await killService(silo, 'project');
    silo.natsServer.signal('SIGCONT');
    t.deepEqual(await checkInvariants(silo), []);
    await startDead(silo);
    await invariantsHold(t, silo);
    t.deepEqual(await publishedMoves(projectId), moveIds);
  },
);
