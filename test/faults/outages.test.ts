/** NATS away, and MongoDB's primary stepping down: nothing lost, nothing twice. */
import { randomUUID } from 'node:crypto';
import { dirname } from 'node:path';
import { startNatsServer } from '@silo/embedded/nats-server.ts';
import test from 'ava';
import { upgrade } from '../authorization/world.ts';
import type { SignedUp } from '../harness/clients.ts';
import { required } from '../harness/environment.ts';
import { eventually } from '../harness/eventually.ts';
import { readSnapshot } from '../invariants/snapshot.ts';
import { readStream } from '../invariants/stream.ts';
import { checkInvariants, invariantsHold } from '../invariants.ts';
import { type FaultSilo, killService, startFaultSilo } from './fault-silo.ts';
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
  const made = await ada.api.organizations.createOrganization({ name: 'There', requestId: '' });
  thereId = made.organization?.id ?? '';
  await upgrade(ada.api, thereId);
});
test.after.always(() => silo?.[Symbol.asyncDispose]());

async function move(
  projectId: string,
  destinationOrganizationId: string,
  requestId = randomUUID(),
) {
  const request = { projectId, destinationOrganizationId, etag: '', requestId };
  const { move: made } = await ada.api.projects.moveProject(request);
  return made?.id ?? '';
}

async function publishedMoves(projectId: string): Promise<string[]> {
  const streamed = await readStream(silo);
  const moved = streamed.filter(({ subject }) => subject === `project.moved.${projectId}`);
  return moved.map(({ body }) => String(JSON.parse(body).moveId));
}

test.serial('primary steps down under many changes: each is made once', async (t) => {
  const workers = await Promise.all(
    Array.from({ length: 6 }, async (_, index) => {
      const projectId = await newProject(ada.api, hereId, `Worker ${index}`);
      return { projectId, moves: [] as string[], fingerprints: [] as string[] };
    }),
  );
  const roundsMax = 40;
  let isOver = false;
  const rounds = workers.map(async (worker) => {
    const { projectId, moves, fingerprints } = worker;
    for (let round = 0; round < roundsMax && !isOver; round++) {
      const [moving, regenerating] = [randomUUID(), randomUUID()];
      const destination = round % 2 === 0 ? thereId : hereId;
      moves.push(await eventually(() => move(projectId, destination, moving), 30_000));
      const request = { projectId, expectedFingerprint: '', requestId: regenerating };
      const { projectToken } = await eventually(
        () => ada.api.projectTokens.regenerateProjectToken(request),
        30_000,
      );
      fingerprints.push(projectToken?.fingerprint ?? '');
    }
  });
  const signUps = Array.from({ length: 4 }, (_, index) => {
    const request = {
      ...{ email: `${randomUUID()}@example.com`, displayName: `Newcomer ${index}` },
      ...{ organizationName: 'New', requestId: randomUUID() },
    };
    return eventually(() => silo.as().accounts.createAccount(request), 30_000);
  });
  await eventually(() => {
    if (workers.some(({ moves }) => moves.length < 2)) throw new Error('not yet in full swing');
  });
  const before = workers.map(({ moves }) => moves.length);
  const admin = silo.mongo.db('admin');
  const term = async () => (await admin.command({ replSetGetStatus: 1 })).term;
  const termBefore = await term();
  await admin.command({ replSetStepDown: 1, force: true }).catch(() => {});
  await eventually(() => {
    const hasGoneOn = workers.every(({ moves }, index) => moves.length >= (before[index] ?? 0) + 3);
    if (!hasGoneOn) throw new Error('no primary that takes changes again');
  }, 40_000);
  t.true((await term()) > termBefore);
  isOver = true;
  await Promise.all([...rounds, ...signUps]);
  await invariantsHold(t, silo);
  const { logs, project } = await readSnapshot(silo);
  for (const { projectId, moves, fingerprints } of workers) {
    t.is(new Set(moves).size, moves.length);
    const stored = project.moves.filter((each) => each.projectId === projectId);
    t.deepEqual(stored.map(({ _id }) => _id).sort(), moves.toSorted());
    const created = logs.token.told.filter(
      ({ name, subject }) => name === 'token.created' && subject === projectId,
    );
    const told = created.map(({ body }) => String(JSON.parse(body).fingerprint));
    t.deepEqual(told.slice(1), fingerprints);
  }
});

test.serial(
  'NATS killed before a move: the move is made, and published when NATS is back',
  async (t) => {
    const { natsServer } = silo.silo;
    if (natsServer === undefined) throw new Error('the silo has no nats-server of its own');
    const projectId = await newProject(ada.api, hereId, 'Without NATS');
    natsServer.process.kill('SIGKILL');
    await natsServer.process.exited;
    const moveIds = [await move(projectId, thereId), await move(projectId, hereId)];
    const { logs } = await readSnapshot(silo);
    t.true(logs.project.told.some(({ body }) => body.includes(moveIds[1] ?? '')));
    const revived = await startNatsServer({
      binary: required('NATS_SERVER_BINARY'),
      directory: dirname(natsServer.process.logFile),
      port: natsServer.port,
    });
    t.teardown(() => revived.stop());
    await invariantsHold(t, silo);
    t.deepEqual(await publishedMoves(projectId), moveIds);

    // As before, but hung, and the relay dies with what it has sent and nobody has acknowledged.
    revived.process.kill('SIGSTOP');
    moveIds.push(await move(projectId, thereId));
    await killService(silo, 'project');
    revived.process.kill('SIGCONT');
    t.deepEqual(await checkInvariants(silo), []);
    await silo.silo.services.project.start();
    await invariantsHold(t, silo);
    t.deepEqual(await publishedMoves(projectId), moveIds);
  },
);
