import type { Bench } from './bench-servers.ts';
import type { Compared, Latencies, Throughputs } from './measure.ts';

/** What a goal is set for, and on which side of the line it lies. */
export type Goal = { of: 'ratio' | 'value' } & ({ atLeast: number } | { atMost: number });

/** What a row measured, in the row's unit. */
export type Measured = {
  value: number;
  /** What the bare operations that the promise costs took, in the same run; absent: no floor. */
  floor?: number | undefined;
  /** For people, beside the table: spreads, counts. */
  remark?: string | undefined;
};

/** One line of the table. */
export type Row = {
  name: string;
  unit: string;
  goal: Goal;
  /** What is measured, and against what, in a line. */
  about: string;
  /** Its floor is another build: it is run only where `--against` names one. */
  needsAgainst?: boolean;
  /** Runs alone: nothing else is measured meanwhile. */
  run(bench: Bench): Promise<Measured>;
};

/** One line as it is printed and written: `goal` is the bound for the ratio, or for the value. */
export type Result = {
  name: string;
  value: number;
  floor: number | null;
  ratio: number | null;
  goal: number;
  unit: string;
};

/** What a row measured, as the table has it. */
export function resultOf({ name, unit, goal }: Row, { value, floor }: Measured): Result {
  const bound = 'atLeast' in goal ? goal.atLeast : goal.atMost;
  const ratio = floor === undefined ? null : value / floor;
  return { name, value, floor: floor ?? null, ratio, goal: bound, unit };
}

/** Whether the goal is reached. */
export function isReached(goal: Goal, { value, ratio }: Result): boolean {
  const reached = goal.of === 'value' ? value : ratio;
  if (reached === null || Number.isNaN(reached)) return false;
  return 'atLeast' in goal ? reached >= goal.atLeast : reached <= goal.atMost;
}

/** Such as `≤ 2×` or `≥ 1000000`. */
export function goalText(goal: Goal): string {
  const bound = 'atLeast' in goal ? `≥ ${goal.atLeast}` : `≤ ${goal.atMost}`;
  return goal.of === 'ratio' ? `${bound}×` : bound;
}

/** Latencies as a row has them: by their medians, with the tails beside. */
export function milliseconds({ floor, measured }: Compared<Latencies>): Measured {
  const remark = `p99 ${measured.p99Ms.toFixed(1)}, floor's ${floor.p99Ms.toFixed(1)}`;
  return { value: measured.p50Ms, floor: floor.p50Ms, remark };
}

/** Throughputs as a row has them, with the other rounds' ratios beside. */
export function perSecond(rates: Throughputs): Measured {
  const { measured, floor, lowestRatio, highestRatio } = rates;
  const remark = `rounds ${lowestRatio.toFixed(2)}× to ${highestRatio.toFixed(2)}×`;
  return { value: measured, floor, remark };
}
