import test from 'ava';
import { Throttle } from '../throttle.ts';

test('a key is admitted once per interval', (t) => {
  const throttle = new Throttle({ intervalMs: 1_000, keysMax: 10 });
  t.true(throttle.admits('a', 0));
  t.false(throttle.admits('a', 999));
  t.true(throttle.admits('b', 999));
  t.true(throttle.admits('a', 1_000));
  t.false(throttle.admits('a', 1_999));
});

test('a key that was reset is admitted at once', (t) => {
  const throttle = new Throttle({ intervalMs: 1_000, keysMax: 10 });
  t.true(throttle.admits('a', 0));
  throttle.reset('a');
  t.true(throttle.admits('a', 1));
});

test('above the maximum size the key that was admitted longest ago is forgotten', (t) => {
  const throttle = new Throttle({ intervalMs: 1_000, keysMax: 2 });
  t.true(throttle.admits('a', 0));
  t.true(throttle.admits('b', 1));
  t.true(throttle.admits('c', 2));
  t.false(throttle.admits('b', 3));
  t.true(throttle.admits('a', 3));
});
