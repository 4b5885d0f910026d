import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { freePort, isPortFree } from '../ports.ts';
import { isAlive, type ProcessIdentity, processIdentity } from '../process-identity.ts';
import { recordFileIn, startProcess } from '../processes.ts';
import { lockState } from '../state-lock.ts';
import { waitUntil } from '../wait-until.ts';
import { temporaryDirectory } from './temporary-directory.ts';

const patience = { withinMs: 120_000 };

async function untilGone(identity: ProcessIdentity): Promise<void> {
  await waitUntil(
    `the end of ${identity.command}`,
    async () => {
      if (isAlive(identity)) throw new Error('it still runs');
    },
    patience,
  );
}

function identityOf(pid: number | undefined): ProcessIdentity {
  const identity = pid === undefined ? undefined : processIdentity(pid);
  if (!identity) throw new Error(`no process runs under ${pid}`);
  return identity;
}

/** Starts a process of this test run that no record names. */
async function startStray(t: ExecutionContext): Promise<ChildProcess> {
  const stray = spawn('sleep', ['600'], { stdio: 'ignore' });
  await once(stray, 'spawn');
  t.teardown(() => stray.kill('SIGKILL'));
  return stray;
}

const dead: ProcessIdentity = { pid: 2 ** 22 + 1, startTime: '1', command: 'node gone' };

async function writeRecord(
  directory: string,
  record: { process: ProcessIdentity; owner: ProcessIdentity },
): Promise<void> {
  await writeFile(recordFileIn(directory), JSON.stringify(record));
}

function startSleeper(directory: string) {
  return startProcess({
    name: 'sleeper',
    command: 'sleep',
    args: ['600'],
    directory,
    logFile: join(directory, 'sleeper.log'),
  });
}

test('a child ends with its parent, even if the parent is killed with SIGKILL', async (t) => {
  const directory = await temporaryDirectory(t);
  const script = join(import.meta.dirname, 'run-sleeper.ts');
  const parent = spawn(process.execPath, [script, directory], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [output] = await once(parent.stdout, 'data');
  const child = identityOf(Number(String(output)));
  parent.kill('SIGKILL');
  await untilGone(child);
  await waitUntil(
    'the record being removed',
    async () => {
      if (existsSync(recordFileIn(directory))) throw new Error('it is still there');
    },
    patience,
  );
  t.pass();
});

test('the next start ends an orphan whose owner is dead', async (t) => {
  const directory = await temporaryDirectory(t);
  const orphan = identityOf((await startStray(t)).pid);
  await writeRecord(directory, { process: orphan, owner: dead });
  const started = await startSleeper(directory);
  t.teardown(() => started.stop({ force: true }));
  t.false(isAlive(orphan));
  t.true(started.running);
});

test('another process with the recorded pid is left alone', async (t) => {
  const directory = await temporaryDirectory(t);
  const stranger = identityOf((await startStray(t)).pid);
  await writeRecord(directory, { process: { ...stranger, startTime: '1' }, owner: dead });
  await (await startSleeper(directory)).stop({ force: true });
  await writeRecord(directory, { process: { ...stranger, command: 'mongod' }, owner: dead });
  await (await startSleeper(directory)).stop({ force: true });
  t.true(isAlive(stranger));
});

test("a living owner's process is left alone, and its directory is refused", async (t) => {
  const directory = await temporaryDirectory(t);
  const taken = identityOf((await startStray(t)).pid);
  await writeRecord(directory, { process: taken, owner: identityOf(process.pid) });
  await t.throwsAsync(startSleeper(directory), { message: /already runs in/ });
  t.true(isAlive(taken));
});

test('an early exit is reported with the end of this run’s log', async (t) => {
  const directory = await temporaryDirectory(t);
  const run = (script: string) =>
    startProcess({
      name: 'failing',
      command: 'sh',
      args: ['-c', script],
      directory,
      logFile: join(directory, 'failing.log'),
    });
  await (await run('echo from the run before')).exited;
  const failing = await run('echo out; echo the reason >&2; exit 3');
  const never = (signal: AbortSignal) =>
    new Promise<never>((_, reject) =>
      signal.addEventListener('abort', () => reject(signal.reason)),
    );
  const error = await t.throwsAsync(failing.whileRunning(never));
  t.regex(error.message, /exited with code 3.*out\nthe reason$/s);
  t.notRegex(error.message, /the run before/);
});

test('a process that ignores SIGTERM or is paused is ended anyway', async (t) => {
  const directory = await temporaryDirectory(t);
  const paused = await startSleeper(directory);
  paused.kill('SIGSTOP');
  t.is((await paused.stop()).signal, 'SIGTERM');
  const deaf = await startProcess({
    name: 'deaf',
    command: process.execPath,
    args: [
      '-e',
      'process.on("SIGTERM", () => {}); console.log("deaf"); setInterval(() => {}, 1e6)',
    ],
    directory,
    logFile: join(directory, 'deaf.log'),
  });
  await waitUntil(
    'the process ignoring SIGTERM',
    async () => {
      if (!deaf.logTail().includes('deaf')) throw new Error(deaf.logTail());
    },
    patience,
  );
  t.is((await deaf.stop({ graceMs: 100 })).signal, 'SIGKILL');
});

test('a state directory has one user at a time, and a dead one does not count', async (t) => {
  const directory = await temporaryDirectory(t);
  await mkdir(join(directory, 'lock'));
  await writeFile(join(directory, 'lock', '7'), JSON.stringify({ phase: 'held', holder: dead }));
  const attempts = await Promise.allSettled(Array.from({ length: 20 }, () => lockState(directory)));
  const taken = attempts.flatMap((attempt) =>
    attempt.status === 'fulfilled' ? [attempt.value] : [],
  );
  t.is(taken.length, 1);
  await t.throwsAsync(lockState(directory), { message: /is in use: a Silo runs there already/ });
  await taken[0]?.announceRelease();
  const waiting = lockState(directory);
  await taken[0]?.release();
  await (await waiting).release();
});

test('a free port is one on which nothing listens', async (t) => {
  const port = await freePort();
  t.true(await isPortFree(port));
});
