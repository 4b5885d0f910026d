/**
 * A backup is taken under load, everything is lost, and the backup is restored to empty servers.
 */

import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { cp, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { createGuard } from '@silo/guard/create-guard.ts';
import { serviceNames } from '@silo/service/config.ts';
import { fingerprintOf } from '@silo/tokens/secrets.ts';
import test from 'ava';
import type { SignedUp } from '../harness/clients.ts';
import { eventually, untilAnswered } from '../harness/eventually.ts';
import { settledViolations } from '../invariants.ts';
import { run } from '../subscribers/run-subscriber.ts';
import { storedEvents } from './captures/stored.ts';
import { type FaultSilo, killService, startDead, startFaultSilo } from './fault-silo.ts';
import { newProject, runStory } from './story.ts';

function regenerate({ api, projectId }: SignedUp) {
  const request = { projectId, expectedFingerprint: '', requestId: randomUUID() };
  return untilAnswered(() => api.projectTokens.regenerateProjectToken(request));
}

async function capture(silo: FaultSilo, projectToken: string): Promise<string> {
  const uuid = randomUUID();
  const event = { name: 'seen', distinctId: 'ada', uuid, timestamp: '', properties: '{}' };
  const { events } = silo.as(projectToken);
  await untilAnswered(() => events.captureEvents({ events: [event], superProperties: '' }));
  return uuid.replaceAll('-', '');
}

/** Copies the files of a member that writes nothing meanwhile. Returns how long it was locked. */
async function backUp({ mongo, directory }: FaultSilo, backup: string): Promise<number> {
  const startMs = performance.now();
  await mongo.db('admin').command({ fsync: 1, lock: true });
  try {
    await cp(join(directory, 'mongodb', 'data'), backup, { recursive: true });
  } finally {
    await mongo.db('admin').command({ fsyncUnlock: 1 });
  }
  return performance.now() - startMs;
}

const siloAdmin = resolve(import.meta.dirname, '..', '..', 'libs', 'admin', 'silo-admin.mjs');

async function loseEverything(silo: FaultSilo): Promise<void> {
  await Promise.all(serviceNames.map((name) => killService(silo, name)));
  await Promise.all([silo.mongod.kill(), silo.natsServer.kill()]);
  for (const server of ['mongodb', 'nats']) {
    await rm(join(silo.directory, server, 'data'), { recursive: true });
  }
}

/** Restores to servers that are empty except for their users. Returns how long it took. */
async function restore(silo: FaultSilo, backup: string): Promise<number> {
  const startMs = performance.now();
  await cp(backup, join(silo.directory, 'mongodb', 'data'), { recursive: true });
  await Promise.all([silo.mongod.start(), silo.natsServer.start()]);
  const environment = { ...process.env, MONGODB_URL: silo.mongod.url };
  await promisify(execFile)(process.execPath, [siloAdmin, 'restored'], { env: environment });
  await startDead(silo);
  return performance.now() - startMs;
}

test('a restored backup is complete, and guards and subscribers follow it', async (t) => {
  await using silo = await startFaultSilo();
  const { ada } = await runStory(silo);
  const captured = [await capture(silo, ada.projectToken)];
  const { org, project, token } = silo.internalAddresses;
  await using guard = createGuard({
    name: 'survivor',
    addresses: { org, project, token },
    tls: silo.certificates.guard,
    nats: { url: silo.natsServer.urlOf('guard') },
  });
  const accepts = async (secret: string) => {
    const { allowed } = await untilAnswered(async () => guard.verifyToken(secret));
    return allowed;
  };
  t.true(await accepts(ada.projectToken));
  const program = {
    command: process.execPath,
    args: ['subscriber.ts', join(silo.directory, 'subscriber.json')],
  };
  const before = run(t, program, silo.natsServer.urlOf('subscriber'));
  // The guard then knows a position of each service, from which events after the restore differ.
  await before.until(`forget project ${ada.projectId}`);
  await before.until(`forget member ${ada.account.id} ${ada.organization.id}`);
  await before.until(`forget token ${fingerprintOf(ada.projectToken)}`);

  const backup = join(silo.directory, 'backup');
  const [lockedMs, during] = await Promise.all([
    backUp(silo, backup),
    capture(silo, ada.projectToken),
  ]);
  const heads = await readHeads(silo);
  const { projectToken: lost } = await regenerate(ada);
  const lostToken = lost?.token ?? '';
  t.false(await accepts(ada.projectToken));
  t.true(await accepts(lostToken));
  await newProject(ada.api, ada.organization.id, 'Lost');
  await capture(silo, lostToken);
  await before.stop();
  const lostEvents = (await readHeads(silo)).map((head, index) => head - (heads[index] ?? 0));
  await loseEverything(silo);
  const restoredMs = await restore(silo, backup);

  t.log(`locked ${Math.round(lockedMs)} ms, restored in ${Math.round(restoredMs)} ms`);
  t.log(`lost changes of ${serviceNames.join(', ')}: ${lostEvents.join(', ')}`);
  // Changes committed before the backup exist, and later ones, including a revocation, do not.
  const page = { organizationId: ada.organization.id, pageSize: 0, pageToken: '' };
  const { projects } = await untilAnswered(() =>
    ada.api.projects.listProjects({ ...page, showDeleted: false }),
  );
  t.true(projects.some(({ name }) => name === 'Kept'));
  t.false(projects.some(({ name }) => name === 'Lost'));
  const stored = await storedEvents(silo, ada.projectId);
  t.true(captured.every((uuid) => stored.includes(uuid)));
  t.true(stored.every((uuid) => [...captured, during].includes(uuid)));
  await eventually(async () => {
    if (!(await accepts(ada.projectToken))) throw new Error('the guard still uses a lost change');
  });
  t.false(await accepts(lostToken));
  // Revocations take effect at once again.
  const { projectToken: next } = await regenerate(ada);
  t.false(await accepts(ada.projectToken));
  t.true(await accepts(next?.token ?? ''));
  const after = run(t, program, silo.natsServer.urlOf('subscriber'));
  for (const name of ['org', 'project', 'token']) await after.until(`forget all ${name}`);
  await after.stop();
  t.deepEqual(await settledViolations(silo), []);
});

async function readHeads({ mongo }: FaultSilo): Promise<number[]> {
  return await Promise.all(
    serviceNames.map(async (name) => {
      const log = await mongo.db(`silo_${name}`).collection('log').findOne();
      return log?.sequence ?? 0;
    }),
  );
}
