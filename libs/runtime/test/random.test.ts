import test from 'ava';
import { equalJitterMs, fullJitterMs } from '../random.ts';

const limits = { baseMs: 100, capMs: 1000 };
const almostOne = () => 1 - Number.EPSILON;

test('a full-jitter pause lies between 0 and a bound that doubles up to the cap', (t) => {
  for (const [failures, boundMs] of [1, 2, 3, 4, 5, 2000].map(
    (n) => [n, Math.min(1000, 100 * 2 ** (n - 1))] as const,
  )) {
    t.is(
      fullJitterMs(failures, limits, () => 0),
      0,
    );
    t.is(Math.round(fullJitterMs(failures, limits, almostOne)), boundMs);
  }
});

test('an equal-jitter pause is never shorter than half of its bound', (t) => {
  t.is(
    equalJitterMs(2, limits, () => 0),
    100,
  );
  t.is(Math.round(equalJitterMs(2, limits, almostOne)), 200);
  t.is(Math.round(equalJitterMs(99, limits, almostOne)), 1000);
});
