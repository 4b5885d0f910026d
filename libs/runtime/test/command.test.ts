import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { buffer } from 'node:stream/consumers';
import test from 'ava';

const command = JSON.stringify(resolve(import.meta.dirname, '../command.ts'));

/** Runs a module in a separate Node process. */
function start(script: string) {
  const module = `import { abortAtSignal, endProcess } from ${command};\n${script}`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', module], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return { child, ended: once(child, 'close') };
}

const outputSizeBytes = 8 * 2 ** 20;

test('a command ends once a slow reader has read its whole output, even if handles are open', async (t) => {
  const { child, ended } = start(`
    setInterval(() => {}, 1_000);
    process.stdout.write('x'.repeat(${outputSizeBytes}));
    process.stderr.write('written');
    await endProcess(3);
  `);
  // The reader begins after the pipe is full.
  await once(child.stderr, 'data');
  t.is((await buffer(child.stdout)).length, outputSizeBytes);
  t.deepEqual(await ended, [3, null]);
});

test('a command whose reader has closed the pipe ends', async (t) => {
  const { child, ended } = start(`
    process.stdout.on('error', () => {});
    process.stdout.write('x'.repeat(${outputSizeBytes}));
    await endProcess(3);
  `);
  child.stdout.destroy();
  t.deepEqual(await ended, [3, null]);
});

for (const [first, second] of [
  ['SIGINT', 'SIGTERM'],
  ['SIGTERM', 'SIGTERM'],
  ['SIGHUP', 'SIGINT'],
] as const) {
  test(`the first signal (${first}) aborts, and the second (${second}) ends the process at once`, async (t) => {
    const { child, ended } = start(`
      setInterval(() => {}, 1_000);
      const signal = abortAtSignal((name) => new Error(name));
      signal.addEventListener('abort', () => process.stdout.write(signal.reason.message));
      process.stderr.write('ready');
    `);
    await once(child.stderr, 'data');
    child.kill(first);
    const [said] = await once(child.stdout, 'data');
    t.is(String(said), first);
    child.kill(second);
    t.deepEqual(await ended, [null, second]);
  });
}

test('a signal ends a command at once that only waits for the reader of its output', async (t) => {
  const { child, ended } = start(`
    const signal = abortAtSignal((name) => new Error(name));
    process.stdout.write('x'.repeat(${outputSizeBytes}));
    const done = endProcess(0);
    process.stderr.write('waits');
    await done;
  `);
  await once(child.stderr, 'data');
  child.kill('SIGTERM');
  // Its output must not be read before it has ended.
  const [, signal] = await once(child, 'exit');
  t.is(signal, 'SIGTERM');
  child.stdout.resume();
  await ended;
});
