import test from 'ava';
import { Progress } from '../progress.ts';

function progressAt(nowMs: { value: number }): Progress {
  return new Progress('relay', () => nowMs.value);
}

test('a consumer whose attempts fail for more than 10 s is stalled until one succeeds', (t) => {
  const now = { value: 0 };
  const progress = progressAt(now);
  t.deepEqual([progress.failingMs, progress.isStalled], [0, false]);
  progress.failed();
  now.value = 10_000;
  progress.failed();
  t.deepEqual([progress.failingMs, progress.isStalled], [10_000, false]);
  now.value = 10_001;
  t.true(progress.isStalled);
  progress.made();
  t.deepEqual([progress.failingMs, progress.isStalled], [0, false]);
});

test('the delay of a consumer of several logs is that of the slowest', (t) => {
  const now = { value: 0 };
  const progress = progressAt(now);
  progress.failed('org');
  now.value = 5_000;
  progress.failed('token');
  now.value = 11_000;
  t.is(progress.failingMs, 11_000);
  progress.made('org');
  t.is(progress.failingMs, 6_000);
  progress.clear();
  t.is(progress.failingMs, 0);
});
