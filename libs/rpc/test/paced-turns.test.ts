import test from 'ava';
import { PacedTurns } from '../paced-turns.ts';

const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve));

test('some calls of a burst begin at once, and the others in later turns, in order', async (t) => {
  const turns = new PacedTurns(3);
  const begun: number[] = [];
  const all = Array.from({ length: 8 }, async (_, index) => {
    await turns.wait();
    begun.push(index);
  });
  await Promise.resolve();
  t.deepEqual(begun, [0, 1, 2]);
  await nextTurn();
  t.deepEqual(begun, [0, 1, 2, 3, 4, 5]);
  await Promise.all(all);
  t.deepEqual(begun, [0, 1, 2, 3, 4, 5, 6, 7]);
  await nextTurn();
  let isLate = true;
  void turns.wait().then(() => {
    isLate = false;
  });
  await Promise.resolve();
  await Promise.resolve();
  t.false(isLate);
});
