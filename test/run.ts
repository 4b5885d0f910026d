/**
 * `npm test`: obtains and starts the real servers, makes certificates, runs every test file with
 * ava, and prints `N passed, N failed` as its last line. Arguments are passed to ava.
 */
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { generousLimitVariables } from './harness/limits.ts';
import { quickestPlace } from './harness/quickest-place.ts';
import { startTestServers } from './harness/servers.ts';

const directory = await mkdtemp(join(await quickestPlace(), 'silo-test-'));
const stop = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort());

let counts = { passed: 0, failed: 1 };
try {
  await using servers = await startTestServers(directory);
  // A hundred test processes load the same files.
  const environment = {
    ...servers.environment,
    ...generousLimitVariables,
    TMPDIR: directory,
    NODE_COMPILE_CACHE: join(directory, 'compile-cache'),
  };
  counts = await runAva(environment, process.argv.slice(2), stop.signal);
} catch (error) {
  console.error(error);
} finally {
  // A process that is ending may still write its compile cache there.
  await rm(directory, { recursive: true, force: true, maxRetries: 10 });
}
console.log(`${counts.passed} passed, ${counts.failed} failed`);
process.exitCode = counts.failed === 0 && counts.passed > 0 ? 0 : 1;

/**
 * Runs ava and prints everything except passed tests. A run that fails without a failed test counts
 * as one.
 */
async function runAva(
  environment: Record<string, string>,
  args: string[],
  signal: AbortSignal,
): Promise<{ passed: number; failed: number }> {
  const child = spawn(process.execPath, ['node_modules/ava/entrypoints/cli.mjs', ...args], {
    env: { ...process.env, ...environment, FORCE_COLOR: '0' },
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  });
  // Its workers would outlive ava if only ava was ended, so all of them form one process group.
  signal.addEventListener('abort', () => {
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGTERM');
  });
  const ended = new Promise<number>((resolve) => {
    child.once('error', () => resolve(1));
    child.once('close', (code) => resolve(code ?? 1));
  });
  let passed = 0;
  let failed = 0;
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.startsWith('  ✔ ')) passed++;
    else if (line.startsWith('  ✘ ')) failed++;
    if (process.env.VERBOSE || !/^ {2}✔ /.test(line)) console.log(line);
  }
  const code = await ended;
  return { passed, failed: code !== 0 && failed === 0 ? 1 : failed };
}
