/** The subscribers of docs/events.md, each with the real services and a NATS with all its users. */
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { fetchWheel } from '@silo/embedded/downloads.ts';
import { startNatsServer } from '@silo/embedded/nats-server.ts';
import { unzipAll } from '@silo/embedded/unzip.ts';
import { eventMessages } from '@silo/log/decode-event.ts';
import { fingerprintOf } from '@silo/tokens/secrets.ts';
import test, { type ExecutionContext } from 'ava';
import { createKey } from '../authorization/world.ts';
import { required } from '../harness/environment.ts';
import { eventually } from '../harness/eventually.ts';
import { connectToNats, managerOf } from '../harness/patient-nats.ts';
import { startTestSilo } from '../harness/silo.ts';
import { type Program, run } from './run-subscriber.ts';

const directory = import.meta.dirname;
const execFileAsync = promisify(execFile);

async function temporary(t: ExecutionContext): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'silo-subscribers-'));
  t.teardown(() => rm(made, { recursive: true, force: true }));
  return made;
}

async function checkSubscriber(t: ExecutionContext, program: Program): Promise<void> {
  const binary = required('NATS_SERVER_BINARY');
  await using nats = await startNatsServer({ binary, directory: await temporary(t) });
  await using silo = await startTestSilo({
    ...{ natsStream: 'SILO', natsSubjectPrefix: 'silo.v1' },
    natsUrlOf: (name) => nats.urlOf(name),
  });
  const { api, account, organization, projectId } = await silo.signUp();
  const regenerate = () =>
    api.projectTokens.regenerateProjectToken({
      ...{ projectId, expectedFingerprint: '', requestId: randomUUID() },
    });
  const withState = { ...program, args: [...program.args, join(await temporary(t), 'state.json')] };
  const first = run(t, withState, nats.urlOf('subscriber'));
  // Earlier events are delivered, too: the stream keeps them for 7 days.
  await first.until(`forget member ${account.id} ${organization.id}`);
  const { projectToken: second } = await regenerate();
  // Not the old token, because the event of its creation names it, too.
  await first.until(`forget token ${fingerprintOf(second?.token ?? '')}`);
  await first.stop();
  // It receives the events that it missed, and none twice.
  const { projectToken: third } = await regenerate();
  const again = run(t, withState, nats.urlOf('subscriber'));
  await again.until(`forget token ${fingerprintOf(third?.token ?? '')}`);
  const written = [second, third].map((each) => `forget token ${fingerprintOf(each?.token ?? '')}`);
  t.deepEqual([...new Set(again.lines)], written);
  await again.stop();
  // An event that the stream no longer has is a gap, so everything of its service is dropped.
  await regenerate();
  const admin = await connectToNats({ url: nats.urlOf('admin') });
  const manager = await managerOf(admin);
  const subject = `silo.v1.token.revoked.${projectId}`;
  const missed = await eventually(async () => {
    const found = await manager.streams.getMessage('SILO', { last_by_subj: subject });
    if (found.json<{ revision: number }>().revision < 4) throw new Error('it is not published');
    return found;
  });
  await manager.streams.deleteMessage('SILO', missed.seq);
  await admin.close();
  await createKey(api, { scopes: ['event:read'] });
  const last = run(t, withState, nats.urlOf('subscriber'));
  await last.until('forget all token');
  await last.stop();
}

test('docs/events.md and each subscriber name every event', async (t) => {
  const page = await readFile(join(directory, '..', '..', 'docs', 'events.md'), 'utf8');
  const [, bodies = ''] = page.split('## Bodies');
  for (const [name, { $type }] of Object.entries(eventMessages)) {
    t.true(bodies.includes(`\`${name}\``), name);
    t.true(bodies.includes(`\`${$type.split('.').at(-1)}\``), $type);
  }
  const named = Object.keys(eventMessages).filter((name) => !name.startsWith('billing.'));
  for (const program of ['subscriber.ts', 'subscriber.py', 'subscriber.go']) {
    const text = await readFile(join(directory, program), 'utf8');
    const listed = [...text.matchAll(/^\s+['"]((?:org|project|token)\.\w+)['"]:/gm)];
    t.deepEqual(listed.map(([, name]) => name).sort(), named.toSorted(), program);
  }
});

test('the subscriber in TypeScript forgets ended facts, catches up, and notices a gap', async (t) => {
  await checkSubscriber(t, { command: process.execPath, args: ['subscriber.ts'] });
});

test('the subscriber in Python forgets ended facts, catches up, and notices a gap', async (t) => {
  const wheels = await temporary(t);
  const wheel = await fetchWheel('nats-py==2.16.0', {
    ...{ directory: wheels, environment: process.env },
  });
  const packages = join(wheels, 'packages');
  await mkdir(packages);
  await unzipAll(wheel, packages);
  await checkSubscriber(t, {
    ...{ command: 'python3', args: ['subscriber.py'] },
    environment: { PYTHONPATH: packages },
  });
});

test('the subscriber in Go forgets ended facts, catches up, and notices a gap', async (t) => {
  const binary = join(await temporary(t), 'subscriber');
  const build = execFileAsync('go', ['build', '-mod=readonly', '-o', binary, '.'], {
    cwd: directory,
  });
  const isThere = await build.then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
      return false;
    },
  );
  if (isThere) await checkSubscriber(t, { command: binary, args: [] });
  else t.pass('there is no Go here');
});
