import { spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { silentLogger } from '../log.ts';
import { runUntilSignal } from '../shutdown.ts';
import { fakeClock } from './fake-clock.ts';

class FakeHost extends EventEmitter {
  exits: number[] = [];
  exit(code: number): void {
    this.exits.push(code);
  }
}

const neverSleep = () => new Promise<void>(() => {});

function harness() {
  const host = new FakeHost();
  const clock = fakeClock();
  const drains: string[] = [];
  const options = { log: silentLogger(), host, clock, sleep: neverSleep };
  const started: AsyncDisposable = {
    [Symbol.asyncDispose]: async () => {
      drains.push('drained');
    },
  };
  return { host, clock, drains, options, started };
}

for (const name of ['SIGTERM', 'SIGINT']) {
  test(`${name} aborts the scope, drains once and exits with 0`, async (t) => {
    const { host, drains, options, started } = harness();
    const scopes: AbortSignal[] = [];
    const running = runUntilSignal(async ({ signal }) => {
      scopes.push(signal);
      return started;
    }, options);
    t.deepEqual(drains, []);
    host.emit(name);
    await running;
    t.true(scopes[0]?.aborted);
    t.deepEqual(drains, ['drained']);
    t.deepEqual(host.exits, [0]);
    t.deepEqual(host.eventNames(), []);
  });
}

test('a key press reported twice is one request; a later one exits at once', async (t) => {
  const { host, clock, options } = harness();
  const drain = Promise.withResolvers<void>();
  const running = runUntilSignal(
    async () => ({ [Symbol.asyncDispose]: () => drain.promise }),
    options,
  );
  host.emit('SIGINT');
  clock.advance(100);
  host.emit('SIGINT');
  host.emit('SIGTERM');
  t.deepEqual(host.exits, []);
  clock.advance(200);
  host.emit('SIGINT');
  host.emit('SIGTERM');
  t.deepEqual(host.exits, [130, 143]);
  drain.resolve();
  await running;
});

test('a start that fails exits with 1', async (t) => {
  const { host, options } = harness();
  await runUntilSignal(async () => {
    throw new Error('no database');
  }, options);
  t.deepEqual(host.exits, [1]);
});

test('a start that is interrupted by a signal exits with 0', async (t) => {
  const { host, options } = harness();
  const running = runUntilSignal(async ({ signal }) => {
    await once(signal, 'abort');
    throw new Error('interrupted');
  }, options);
  host.emit('SIGTERM');
  await running;
  t.deepEqual(host.exits, [0]);
});

test('a start that completes despite an early signal is drained', async (t) => {
  const { host, drains, options, started } = harness();
  const running = runUntilSignal(async ({ signal }) => {
    await once(signal, 'abort');
    return started;
  }, options);
  host.emit('SIGTERM');
  await running;
  t.deepEqual(drains, ['drained']);
  t.deepEqual(host.exits, [0]);
});

test('a drain that fails exits with 1', async (t) => {
  const { host, options } = harness();
  const dispose = async () => {
    throw new Error('stuck');
  };
  const running = runUntilSignal(async () => ({ [Symbol.asyncDispose]: dispose }), options);
  host.emit('SIGTERM');
  await running;
  t.deepEqual(host.exits, [1]);
});

test('a drain that takes too long exits with 1', async (t) => {
  const { host, options } = harness();
  const gaveUp = Promise.withResolvers<number>();
  host.exit = gaveUp.resolve;
  const sleep = async (durationMs: number) => {
    t.is(durationMs, 5000);
  };
  void runUntilSignal(async () => ({ [Symbol.asyncDispose]: () => new Promise<void>(() => {}) }), {
    ...options,
    sleep,
    drainMaxMs: 5000,
  });
  host.emit('SIGTERM');
  t.is(await gaveUp.promise, 1);
});

for (const event of ['uncaughtException', 'unhandledRejection']) {
  test(`${event} exits with 1 at once, without a drain`, async (t) => {
    const { host, drains, options, started } = harness();
    const running = runUntilSignal(async () => started, options);
    host.emit(event, new Error('forgotten'));
    t.deepEqual(host.exits, [1]);
    t.deepEqual(drains, []);
    host.emit('SIGTERM');
    await running;
  });
}

const fixture = fileURLToPath(new URL('./fixtures/process.ts', import.meta.url));

/**
 * Starts the fixture, sends the signal when it has written the line, returns exit code and lines.
 */
async function runProcess(behaviour: string, steps: [string, NodeJS.Signals][]) {
  const child = spawn(process.execPath, [fixture, behaviour], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  const messages: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    messages.push(JSON.parse(line).msg);
    const [next] = steps;
    if (next && next[0] === messages.at(-1)) {
      steps.shift();
      child.kill(next[1]);
    }
  }
  const [code] = await exited;
  return { code, messages };
}

test('a real process drains on SIGTERM and exits with 0', async (t) => {
  t.deepEqual(await runProcess('drains', [['started', 'SIGTERM']]), {
    code: 0,
    messages: ['started', 'stop requested', 'draining', 'stopped'],
  });
});

test('a real process writes the fatal error before it exits with 1', async (t) => {
  t.deepEqual(await runProcess('fails-to-start', []), { code: 1, messages: ['starting failed'] });
  t.deepEqual(await runProcess('throws-later', []), {
    code: 1,
    messages: ['started', 'uncaught error'],
  });
});
