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
    rule: 'a first start publishes from the beginning, with plain ids',
    ...{ stream: [], windowStart: 1, published: 0, reach: 0, repair: false },
  },
  {
    rule: 'a complete stream is left alone',
    ...{ stream: [1, 2, 3], windowStart: 1, published: 3, reach: 3, repair: false },
  },
  {
    rule: 'an event that was acknowledged but not recorded is not published again',
    ...{ stream: [1, 2, 3, 4], windowStart: 1, published: 2, reach: 4, repair: false },
  },
  {
    rule: 'a stream that lost its end is repaired from there',
    ...{ stream: [1, 2], windowStart: 1, published: 4, reach: 2, repair: true },
  },
  {
    rule: 'a stream that was deleted is repaired from the start of the window',
    ...{ stream: [], windowStart: 1, published: 4, reach: 0, repair: true },
  },
  {
    rule: 'events in a recreated stream are premature if earlier events are missing',
    ...{ stream: [5], windowStart: 1, published: 5, reach: 0, repair: true, isPremature: true },
  },
  {
    rule: 'a gap is repaired, with everything after it',
    ...{ stream: [1, 2, 4, 5], windowStart: 1, published: 5, reach: 2, repair: true },
  },
  {
    rule: 'a repair that reached the end has filled the gap',
    ...{ stream: [1, 2, 4, 5, 3, 4, 5], windowStart: 1, published: 5, reach: 5, repair: false },
  },
  {
    rule: 'an interrupted repair is continued where it ended',
    ...{ stream: [1, 2, 4, 5, 3], windowStart: 1, published: 5, reach: 3, repair: true },
  },
  {
    rule: 'events that are too old for the stream are not missed',
    ...{ stream: [7, 8], windowStart: 7, published: 8, reach: 8, repair: false },
  },
  {
    rule: 'events that the stream keeps longer than it must are not a gap',
    ...{ stream: [5, 6, 7, 8], windowStart: 7, published: 8, reach: 8, repair: false },
  },
  {
    rule: 'after a week without events the stream is empty and nothing needs repair',
    ...{ stream: [], windowStart: 9, published: 8, reach: 8, repair: false },
  },
  {
    rule: 'two relays at once leave duplicates, but no gap',
    ...{ stream: [1, 1, 2, 3, 2, 3], windowStart: 1, published: 3, reach: 3, repair: false },
  },
];

for (const { rule, stream, windowStart, published, ...expected } of cases) {
  test(rule, (t) => {
    const found = compare(stream, { windowStart, published });
    t.deepEqual(found, { isPremature: false, ...expected });
  });
}
