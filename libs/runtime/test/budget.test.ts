import test from 'ava';
import { takeWithin } from '../budget.ts';

const sizeOf = (item: string) => item.length;

test('a batch is limited by count and bytes and holds at least one item', (t) => {
  const cases: [items: string[], countMax: number, bytesMax: number, taken: number][] = [
    [[], 2, 10, 0],
    [['a', 'b', 'c'], 2, 10, 2],
    [['aaa', 'bbb', 'ccc'], 9, 6, 2],
    [['aaa', 'bbb', 'ccc'], 9, 5, 1],
    [['aaa', 'b'], 9, 2, 1],
    [['', '', 'aaa'], 9, 2, 2],
    [['aa', 'bb'], 9, 4, 2],
  ];
  for (const [items, countMax, bytesMax, taken] of cases) {
    const found = takeWithin(items, { countMax, bytesMax }, sizeOf);
    t.deepEqual(found, items.slice(0, taken), JSON.stringify({ items, countMax, bytesMax }));
  }
});
