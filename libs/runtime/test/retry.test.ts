import test from 'ava';
import { retry } from '../retry.ts';

function options(pausesMs: number[] = []) {
  return {
    attemptsMax: 4,
    baseMs: 100,
    capMs: 300,
    isRetryable: (error: unknown) => error instanceof Error && error.message.startsWith('busy'),
    signal: new AbortController().signal as AbortSignal,
    random: () => 0.5,
    sleep: async (durationMs: number) => {
      pausesMs.push(durationMs);
    },
  };
}

test('a successful attempt ends the retries, and there is no pause before the first', async (t) => {
  const pausesMs: number[] = [];
  t.is(await retry(async () => 'done', options(pausesMs)), 'done');
  t.deepEqual(pausesMs, []);
});

test('pauses double up to the cap, and the error of the last attempt is thrown', async (t) => {
  const pausesMs: number[] = [];
  const numbers: number[] = [];
  const attempt = async (_signal: AbortSignal, number: number) => {
    numbers.push(number);
    throw new Error(`busy ${number}`);
  };
  await t.throwsAsync(retry(attempt, options(pausesMs)), { message: 'busy 4' });
  t.deepEqual(numbers, [1, 2, 3, 4]);
  t.deepEqual(pausesMs, [50, 100, 150]);
});

test('a non-retryable error is thrown at once', async (t) => {
  let attempts = 0;
  const attempt = async () => {
    attempts++;
    throw new Error('refused');
  };
  await t.throwsAsync(retry(attempt, options()), { message: 'refused' });
  t.is(attempts, 1);
});

test('nothing is attempted if the signal has aborted', async (t) => {
  const signal = AbortSignal.abort(new Error('over'));
  const attempt = async () => t.fail('attempted');
  await t.throwsAsync(retry(attempt, { ...options(), signal }), { message: 'over' });
});

test('an abort during an attempt does not interrupt it and starts no other', async (t) => {
  const controller = new AbortController();
  let attempts = 0;
  const attempt = async (signal: AbortSignal) => {
    attempts++;
    controller.abort();
    t.true(signal.aborted);
    throw new Error('busy');
  };
  const running = retry(attempt, { ...options(), signal: controller.signal });
  await t.throwsAsync(running, { message: 'busy' });
  t.is(attempts, 1);
});

test('an abort during a real pause ends it at once, with the last error', async (t) => {
  const controller = new AbortController();
  const { sleep: _, ...rest } = options();
  const attempt = async () => {
    setImmediate(() => controller.abort());
    throw new Error('busy');
  };
  const hourMs = 3_600_000;
  const limits = { ...rest, baseMs: hourMs, capMs: hourMs, signal: controller.signal };
  await t.throwsAsync(retry(attempt, limits), { message: 'busy' });
});

test('a pause is extended by the delay that an error requests, and each retry is announced', async (t) => {
  const pausesMs: number[] = [];
  const announced: unknown[] = [];
  const attempt = async (_signal: AbortSignal, number: number) => {
    if (number < 3) throw new Error(`busy ${number}`);
  };
  await retry(attempt, {
    ...options(pausesMs),
    minPauseMs: (error) => (error instanceof Error && error.message === 'busy 1' ? 1_000 : 0),
    onRetry: (error) => announced.push(String(error)),
  });
  t.deepEqual(pausesMs, [1_050, 100]);
  t.deepEqual(announced, ['Error: busy 1', 'Error: busy 2']);
});
