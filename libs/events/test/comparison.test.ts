import test from 'ava';
import { compare } from '../comparison.ts';

type Case = {
  rule: string;
  stream: number[];
  windowStart: number;
  published: number;
  reach: number;
  repair: boolean;
  isPremature?: boolean;
};

const cases: Case[] = [
  {
    rule: 'a first start publishes from the beginning, under plain ids',
    ...{ stream: [], windowStart: 1, published: 0, reach: 0, repair: false },
  },
  {
    rule: 'a whole stream is left alone',
    ...{ stream: [1, 2, 3], windowStart: 1, published: 3, reach: 3, repair: false },
  },
  {
    rule: 'what was acknowledged but not noted is not published again',
    ...{ stream: [1, 2, 3, 4], windowStart: 1, published: 2, reach: 4, repair: false },
  },
  {
    rule: 'a stream that lost its tail is repaired from there',
    ...{ stream: [1, 2], windowStart: 1, published: 4, reach: 2, repair: true },
  },
  {
    rule: 'a stream that is gone is repaired from the start of the window',
    ...{ stream: [], windowStart: 1, published: 4, reach: 0, repair: true },
  },
  {
    rule: 'what stands in a stream that was made again before what must come first is premature',
    ...{ stream: [5], windowStart: 1, published: 5, reach: 0, repair: true, isPremature: true },
  },
  {
    rule: 'a hole is repaired, and everything after it',
    ...{ stream: [1, 2, 4, 5], windowStart: 1, published: 5, reach: 2, repair: true },
  },
  {
    rule: 'a repair that went to the end has filled the hole',
    ...{ stream: [1, 2, 4, 5, 3, 4, 5], windowStart: 1, published: 5, reach: 5, repair: false },
  },
  {
    rule: 'a repair that broke off is taken up where it ended',
    ...{ stream: [1, 2, 4, 5, 3], windowStart: 1, published: 5, reach: 3, repair: true },
  },
  {
    rule: 'what has grown too old for the stream is not missed',
    ...{ stream: [7, 8], windowStart: 7, published: 8, reach: 8, repair: false },
  },
  {
    rule: 'what the stream still keeps though it need not is no hole',
    ...{ stream: [5, 6, 7, 8], windowStart: 7, published: 8, reach: 8, repair: false },
  },
  {
    rule: 'a quiet week leaves an empty stream and nothing to repair',
    ...{ stream: [], windowStart: 9, published: 8, reach: 8, repair: false },
  },
  {
    rule: 'two relays at once leave repeats, and no hole',
    ...{ stream: [1, 1, 2, 3, 2, 3], windowStart: 1, published: 3, reach: 3, repair: false },
  },
];

for (const { rule, stream, windowStart, published, ...expected } of cases) {
  test(rule, (t) => {
    const found = compare(stream, { windowStart, published });
    t.deepEqual(found, { isPremature: false, ...expected });
  });
}
