import test from 'ava';
import { SharedBytes } from '../shared-bytes.ts';

/** Takes single bytes until no more are granted, and returns their number. */
function fill(shared: SharedBytes, owner: string): number {
  let taken = 0;
  while (shared.take(owner, 1)) taken++;
  return taken;
}

test('a single owner takes its share of all bytes, and leaves the rest to others', (t) => {
  for (const [timesFree, alone, second] of [
    [1, 50, 25],
    [3, 75, 19],
  ] as const) {
    const shared = new SharedBytes(100, timesFree);
    t.is(fill(shared, 'a'), alone);
    t.is(fill(shared, 'b'), second);
    t.is(shared.held, alone + second);
  }
});

test('however many owners take what they may, another one finds room, and the total stays within the bound', (t) => {
  const shared = new SharedBytes(1_000_000, 3);
  for (let owner = 0; owner < 8; owner++) t.true(fill(shared, `${owner}`) > 0);
  t.true(shared.take('another', 1));
  t.true(shared.held <= 1_000_000);
});

test('an owner without bytes may take all free bytes at once, and no more', (t) => {
  const shared = new SharedBytes(100, 1);
  t.true(shared.take('a', 40));
  t.false(shared.take('b', 61));
  t.true(shared.take('b', 60));
  t.false(shared.take('a', 1));
});

test('released bytes are free again, for their owner and for others', (t) => {
  const shared = new SharedBytes(100, 1);
  t.is(fill(shared, 'a'), 50);
  shared.release('a', 50);
  t.is(shared.held, 0);
  t.is(fill(shared, 'b'), 50);
  shared.release('b', 20);
  t.is(fill(shared, 'a'), 35);
});

test('bytes that are added count, even beyond the free ones, until they are released', (t) => {
  const shared = new SharedBytes(100, 1);
  shared.add('a', 150);
  t.is(shared.held, 150);
  t.false(shared.take('b', 1));
  shared.release('a', 150);
  t.true(shared.take('b', 1));
});
