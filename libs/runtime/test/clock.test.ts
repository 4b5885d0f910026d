import test from 'ava';
import { systemClock, systemSleep } from '../clock.ts';
import { fakeClock } from './fake-clock.ts';

test('a fake clock changes only when it is advanced', (t) => {
  const clock = fakeClock(new Date('2025-01-01T00:00:00Z'));
  t.is(clock.monotonicMs(), 0);
  clock.advance(1500);
  t.is(clock.monotonicMs(), 1500);
  t.is(clock.now().toISOString(), '2025-01-01T00:00:01.500Z');
});

test('the monotonic system clock does not go back', (t) => {
  const first = systemClock.monotonicMs();
  t.true(systemClock.monotonicMs() >= first);
  const before = Date.now();
  const now = systemClock.now().getTime();
  t.true(before <= now && now <= Date.now());
});

test('sleep rejects at once with the reason of the abort', async (t) => {
  const controller = new AbortController();
  const sleeping = systemSleep(3_600_000, controller.signal);
  controller.abort(new Error('enough'));
  await t.throwsAsync(sleeping, { message: 'enough' });
  await t.throwsAsync(systemSleep(3_600_000, controller.signal), { message: 'enough' });
  await t.notThrowsAsync(systemSleep(0));
});
