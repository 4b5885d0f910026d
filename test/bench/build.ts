import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { delimiter, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { childrenOf, type Usage, usageOfTree } from './usage.ts';

const run = promisify(execFile);
const readyWithinMs = 180_000;

/** The directory of the build that contains this benchmark. */
export const presentBuild = resolve(import.meta.dirname, '..', '..');

/** A deployment that `npm start` runs. */
export type StartedBuild = AsyncDisposable & {
  /** Time from the command to the line that says that Silo is ready. */
  readyMs: number;
  /** CPU time and resident memory of all its processes, without npm's own. */
  usage(): Usage;
};

/** Unpacks a commit into `directory`, installs its dependencies and generates its code. */
export async function unpackBuild(revision: string, directory: string): Promise<string> {
  const archive = `${directory}.tar`;
  await mkdir(directory, { recursive: true });
  await run('git', ['archive', '--output', archive, revision], { cwd: presentBuild });
  await run('tar', ['-xf', archive, '-C', directory]);
  const prestart = join(directory, 'libs', 'embedded', 'prestart.mjs');
  await run(process.execPath, [prestart], { cwd: directory, env: environment() });
  return directory;
}

/**
 * Runs `npm start` of a build, with its state in `state`, and resolves when Silo is ready.
 * `onSpawned` receives a function that stops it, for a run that is interrupted before or after
 * that.
 */
export async function startBuild(
  build: string,
  state: string,
  onSpawned: (stop: () => Promise<void>) => void,
): Promise<StartedBuild> {
  const startMs = performance.now();
  const npm = spawn('npm', ['start'], {
    cwd: build,
    env: { ...environment(), SILO_DIRECTORY: state },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const stop = () => stopStarter(npm);
  onSpawned(stop);
  try {
    await untilReady(npm);
  } catch (error) {
    await stop();
    throw error;
  }
  const readyMs = performance.now() - startMs;
  return { readyMs, usage: () => usageOfTree(starterOf(npm)), [Symbol.asyncDispose]: stop };
}

/**
 * Without the variables that `npm run bench` has set for this process, and without other servers.
 */
function environment(): NodeJS.ProcessEnv {
  const { MONGODB_URL, NATS_URL, PATH = '', ...rest } = process.env;
  const directories = PATH.split(delimiter).filter((each) => !each.endsWith('node_modules/.bin'));
  const kept = Object.entries(rest).filter(([name]) => !/^npm_/i.test(name));
  return { ...Object.fromEntries(kept), PATH: directories.join(delimiter) };
}

async function untilReady(npm: ChildProcess): Promise<void> {
  if (npm.stdout === null) throw new TypeError('the output of npm is not read');
  const lines = createInterface({ input: npm.stdout });
  const output: string[] = [];
  const timer = setTimeout(() => lines.close(), readyWithinMs);
  try {
    for await (const line of lines) {
      output.push(line);
      if (line.startsWith('Silo is ready')) return;
    }
  } finally {
    clearTimeout(timer);
    // Later output is not read, and must not fill the pipe.
    npm.stdout.resume();
  }
  throw new Error(`npm start did not become ready:\n${output.join('\n')}`);
}

/** The process that `npm start` runs, the ancestor of the others. */
function starterOf(npm: ChildProcess): number {
  const [starter] = npm.pid === undefined ? [] : childrenOf(npm.pid);
  if (starter === undefined) throw new Error('npm start has ended');
  return starter;
}

async function stopStarter(npm: ChildProcess): Promise<void> {
  if (npm.exitCode !== null || npm.signalCode !== null) return;
  const exited = once(npm, 'exit');
  const [starter] = npm.pid === undefined ? [] : childrenOf(npm.pid);
  if (starter === undefined) npm.kill('SIGTERM');
  else process.kill(starter, 'SIGTERM');
  await exited;
}
