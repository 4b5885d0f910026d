import { once } from 'node:events';
import test from 'ava';
import { race, withDeadline } from '../deadline.ts';
import { fakeClock } from './fake-clock.ts';

const never = new Promise<never>(() => {});

test('an exceeded deadline aborts with a TimeoutError and has no time left', async (t) => {
  const deadline = withDeadline(1);
  // The timer behind a signal does not keep a process alive; this one does until it has fired.
  const keepAlive = setInterval(() => {}, 1000);
  if (!deadline.signal.aborted) await once(deadline.signal, 'abort');
  clearInterval(keepAlive);
  t.is(deadline.signal.reason.name, 'TimeoutError');
  t.is(deadline.remainingMs(), 0);
});

test('the remaining time decreases with the monotonic clock and is never below 0', (t) => {
  const clock = fakeClock();
  const deadline = withDeadline(60_000, undefined, clock);
  t.is(deadline.remainingMs(), 60_000);
  clock.advance(59_000);
  t.is(deadline.remainingMs(), 1_000);
  clock.advance(2_000);
  t.is(deadline.remainingMs(), 0);
});

test("the parent's abort ends the deadline with the parent's reason", (t) => {
  const parent = new AbortController();
  const deadline = withDeadline(60_000, parent.signal);
  t.false(deadline.signal.aborted);
  parent.abort(new Error('cancelled'));
  t.true(deadline.signal.aborted);
  t.is(deadline.signal.reason.message, 'cancelled');
  t.is(deadline.remainingMs(), 0);
});

test('invalid durations do not throw, and long ones do not abort at once', (t) => {
  t.false(withDeadline(1e12).signal.aborted);
  t.false(withDeadline(1000.5).signal.aborted);
  t.is(withDeadline(-5).remainingMs(), 0);
});

test('a race gives the result of the promise, or its error', async (t) => {
  const { signal } = new AbortController();
  t.is(await race(Promise.resolve(7), signal), 7);
  await t.throwsAsync(race(Promise.reject(new Error('mine')), signal), { message: 'mine' });
});

test('a race ends with the reason of the abort, whether that came before or during it', async (t) => {
  const controller = new AbortController();
  const running = race(never, controller.signal);
  controller.abort(new Error('over'));
  await t.throwsAsync(running, { message: 'over' });
  await t.throwsAsync(race(never, controller.signal), { message: 'over' });
  await t.throwsAsync(race(Promise.resolve(7), controller.signal), { message: 'over' });
});

test('a promise that rejects after the race is not reported as unhandled', async (t) => {
  const late = Promise.withResolvers<void>();
  await t.throwsAsync(race(late.promise, AbortSignal.abort(new Error('over'))), {
    message: 'over',
  });
  late.reject(new Error('late')); // ava fails the file on an unhandled rejection
  await new Promise(setImmediate);
});
