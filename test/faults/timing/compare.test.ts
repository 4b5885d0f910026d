import test from 'ava';
import { differenceAllowed, probabilitySlower, standardError } from './compare.ts';

test('neither is slower if both took the same time', (t) => {
  t.is(probabilitySlower({ hidden: [1, 2, 3], absent: [3, 2, 1] }), 0.5);
  t.is(probabilitySlower({ hidden: [7, 7], absent: [7, 7, 7] }), 0.5);
});

test('a kind that always takes longer is certainly slower', (t) => {
  t.is(probabilitySlower({ hidden: [10, 11], absent: [1, 2, 9] }), 1);
  t.is(probabilitySlower({ hidden: [1, 2], absent: [9, 10] }), 0);
});

test('the probability is the share of pairs in which the hidden one is slower, a tie counting half', (t) => {
  const hidden = [4, 1, 4, 7, 2];
  const absent = [4, 3, 2, 2];
  const pairs = hidden.flatMap((h) => absent.map((a) => (h > a ? 1 : h === a ? 0.5 : 0)));
  const share = pairs.reduce((sum: number, each) => sum + each, 0) / pairs.length;
  t.is(probabilitySlower({ hidden, absent }), share);
});

test('4,000 calls are held to a difference of 0.05, fewer calls to what they can show', (t) => {
  const half = (count: number) => Array.from({ length: count / 2 }, () => 0);
  const of = (count: number) => ({ hidden: half(count), absent: half(count) });
  t.is(standardError(of(4_000)).toFixed(4), '0.0091');
  t.is(differenceAllowed(of(4_000)), 0.05);
  t.is(differenceAllowed(of(2_200)), 0.05);
  t.is(differenceAllowed(of(200)), 4 * standardError(of(200)));
});
