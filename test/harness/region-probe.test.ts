import test from 'ava';
import { type Accepted, handoversIn } from './region-probe.ts';

const at = (region: Accepted['region'], fromMs: number, toMs: number) => ({ region, fromMs, toMs });

const cases: { what: string; accepted: Accepted[]; handovers: number }[] = [
  { what: 'nothing was accepted', accepted: [], handovers: 0 },
  { what: 'one region accepts', accepted: [at('us', 0, 1), at('us', 2, 3)], handovers: 0 },
  {
    what: 'one migration',
    accepted: [at('us', 0, 1), at('eu', 4, 5), at('eu', 6, 7)],
    handovers: 1,
  },
  {
    what: 'calls of both overlap: either may have been first',
    accepted: [at('us', 0, 5), at('eu', 4, 6), at('eu', 7, 8)],
    handovers: 1,
  },
  {
    what: 'both accept alternately',
    accepted: [at('us', 0, 1), at('eu', 2, 3), at('us', 4, 5), at('eu', 6, 7)],
    handovers: 3,
  },
  {
    what: 'the chain begins with either region',
    accepted: [at('us', 0, 4), at('eu', 3, 5), at('us', 6, 7), at('eu', 8, 9)],
    handovers: 2,
  },
];

for (const { what, accepted, handovers } of cases) {
  test(`${what}: at least ${handovers} handovers`, (t) => {
    t.is(handoversIn(accepted), handovers);
    t.is(handoversIn(accepted.toReversed()), handovers);
  });
}
