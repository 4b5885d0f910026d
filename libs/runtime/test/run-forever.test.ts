import test from 'ava';
import { createLogger, silentLogger } from '../log.ts';
import { runForever } from '../run-forever.ts';

function harness(intervalMs: number, stopAfterPauses: number) {
  const controller = new AbortController();
  const pausesMs: number[] = [];
  const options = {
    name: 'relay',
    intervalMs,
    signal: controller.signal,
    log: silentLogger(),
    random: () => 0,
    sleep: async (durationMs: number) => {
      pausesMs.push(durationMs);
      if (pausesMs.length === stopAfterPauses) controller.abort();
    },
  };
  return { controller, pausesMs, options };
}

test('iterations follow each other at the interval until the signal aborts', async (t) => {
  const { options, pausesMs } = harness(200, 3);
  let iterations = 0;
  await runForever(options, async () => {
    iterations++;
  });
  t.is(iterations, 3);
  t.deepEqual(pausesMs, [200, 200, 200]);
});

test('a failed iteration is logged with its error, and the pauses grow until one succeeds', async (t) => {
  const { options, pausesMs } = harness(0, 6);
  const lines: string[] = [];
  const destination = { write: (line: string) => lines.push(line) };
  const log = createLogger({ service: 'org', region: 'eu', level: 'error', destination });
  let iterations = 0;
  await runForever({ ...options, log }, async () => {
    iterations++;
    if (iterations !== 4) throw new Error(`iteration ${iterations} failed`);
  });
  t.deepEqual(pausesMs, [50, 100, 200, 0, 50, 100]);
  t.is(lines.length, 5);
  t.like(JSON.parse(lines[2] ?? ''), {
    loop: 'relay',
    failures: 3,
    err: { message: 'iteration 3 failed' },
  });
});

test('the pauses of a failing loop grow to at most 30 s', async (t) => {
  const { options, pausesMs } = harness(0, 40);
  await runForever(options, async () => {
    throw new Error('down');
  });
  t.is(Math.max(...pausesMs), 15_000); // the fixed half
});

test('the loop ends only when the iteration in progress at the abort has ended', async (t) => {
  const { options, controller } = harness(0, 99);
  const iteration = Promise.withResolvers<void>();
  let isOver = false;
  const loop = runForever(options, async (signal) => {
    t.is(signal, controller.signal);
    await iteration.promise;
  }).then(() => {
    isOver = true;
  });
  controller.abort();
  await new Promise(setImmediate);
  t.false(isOver);
  iteration.resolve();
  await loop;
  t.true(isOver);
});

test('an abort ends a real pause at once, and failures caused by the abort are not logged', async (t) => {
  const controller = new AbortController();
  const log = createLogger({
    service: 'org',
    region: 'eu',
    level: 'error',
    destination: { write: (line) => t.fail(line) },
  });
  const options = { name: 'relay', intervalMs: 3_600_000, signal: controller.signal, log };
  await runForever(options, async () => {
    setImmediate(() => controller.abort());
  });
  const again = new AbortController();
  await runForever({ ...options, signal: again.signal }, async (signal) => {
    again.abort(new Error('over'));
    signal.throwIfAborted();
  });
  t.pass();
});
