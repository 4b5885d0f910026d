import type { Bench } from './bench-servers.ts';
import type { Compared, Latencies, Throughputs } from './measure.ts';

/** The value to which a goal applies, and its bound. */
export type Goal = { of: 'ratio' | 'value' } & ({ atLeast: number } | { atMost: number });

/** The measured value of a row, in the row's unit. */
export type Measured = {
  value: number;
  /** The value of the bare operations, in the same run; absent if there is no floor. */
  floor?: number | undefined;
  /** Further information for people, such as spreads and counts. */
  remark?: string | undefined;
};

/** One line of the table. */
export type Row = {
  name: string;
  unit: string;
  goal: Goal;
  /** What is measured, and its floor, in a line. */
  about: string;
  /** Whether its floor is another build: then it runs only with `--against`. */
  needsAgainst?: boolean;
  /** Runs alone: nothing else is measured meanwhile. */
  run(bench: Bench): Promise<Measured>;
};

/** One line as it is printed and written; `goal` is the bound for the ratio, or for the value. */
export type Result = {
  name: string;
  value: number;
  floor: number | null;
  ratio: number | null;
  goal: number;
  unit: string;
};

/** The result of a row in the form of the table. */
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

/** Latencies in the form of a row: their medians, with the tails in the remark. */
export function milliseconds({ floor, measured }: Compared<Latencies>): Measured {
  const remark = `p99 ${measured.p99Ms.toFixed(1)}, floor's ${floor.p99Ms.toFixed(1)}`;
  return { value: measured.p50Ms, floor: floor.p50Ms, remark };
}

/** Throughputs in the form of a row, with the other rounds' ratios in the remark. */
export function perSecond(rates: Throughputs): Measured {
  const { measured, floor, lowestRatio, highestRatio } = rates;
  const remark = `rounds ${lowestRatio.toFixed(2)}× to ${highestRatio.toFixed(2)}×`;
  return { value: measured, floor, remark };
}
