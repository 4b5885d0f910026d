import test from 'ava';
import { type Goal, goalText, isReached, type Row, resultOf } from './row.ts';

function row(goal: Goal): Row {
  const run = async () => ({ value: 0 });
  return { name: 'some-row', unit: 'ms', goal, about: 'what it measures', run };
}

const cases: [Goal, { value: number; floor?: number }, boolean, string][] = [
  [{ of: 'ratio', atMost: 2 }, { value: 20, floor: 10 }, true, '≤ 2×'],
  [{ of: 'ratio', atMost: 2 }, { value: 21, floor: 10 }, false, '≤ 2×'],
  [{ of: 'ratio', atLeast: 0.8 }, { value: 8, floor: 10 }, true, '≥ 0.8×'],
  [{ of: 'ratio', atLeast: 0.8 }, { value: 7, floor: 10 }, false, '≥ 0.8×'],
  [{ of: 'value', atLeast: 1_000 }, { value: 1_000 }, true, '≥ 1000'],
  [{ of: 'value', atLeast: 1_000 }, { value: 999 }, false, '≥ 1000'],
  [{ of: 'value', atMost: 250 }, { value: 250 }, true, '≤ 250'],
  [{ of: 'value', atMost: 250 }, { value: 251 }, false, '≤ 250'],
];

for (const [goal, measured, reached, text] of cases) {
  const { value, floor = 'none' } = measured;
  test(`goal ${text} with ${value} against ${floor} is ${reached ? 'reached' : 'missed'}`, (t) => {
    const result = resultOf(row(goal), measured);
    t.is(isReached(goal, result), reached);
    t.is(goalText(goal), text);
  });
}

test('a value that could not be measured reaches no goal', (t) => {
  const goal: Goal = { of: 'ratio', atMost: 2 };
  t.false(isReached(goal, resultOf(row(goal), { value: Number.NaN, floor: 1 })));
  t.false(isReached(goal, resultOf(row(goal), { value: 1 })));
});
