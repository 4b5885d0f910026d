import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Bench } from '../bench-servers.ts';
import { presentBuild, type StartedBuild } from '../build.ts';
import { type Compared, median } from '../measure.ts';
import type { Measured, Row } from '../row.ts';
import type { Usage } from '../usage.ts';

/** Time until a deployment that has just started is at rest: leases acquired, code compiled. */
const settleMs = 20_000;
const windowMs = 10_000;
const rounds = 7;
const startRounds = 5;

/**
 * The resources that `npm start` takes without calls, and to start. The floor is the build of the
 * commit in `--against`, started the same way with its own state. For `idle` and `memory` both run
 * at once and are read over the same windows; the starts take turns. Medians of the rounds.
 */
export const resources: readonly Row[] = [
  {
    name: 'idle',
    unit: 'cores',
    goal: { of: 'ratio', atMost: 0.25 },
    about: 'CPU of all processes of npm start while nobody calls; floor: the build of --against',
    needsAgainst: true,
    run: async (bench) => {
      const rates = await whileIdle(bench, (before, after) => {
        return (after.cpuMs - before.cpuMs) / windowMs;
      });
      return measured(rates);
    },
  },
  {
    name: 'memory',
    unit: 'MB',
    goal: { of: 'ratio', atMost: 0.6 },
    about: 'resident memory of the same processes; floor: the build of --against',
    needsAgainst: true,
    run: async (bench) => {
      return measured(await whileIdle(bench, (_, { residentBytes }) => residentBytes / 1e6));
    },
  },
  {
    name: 'start-warm',
    unit: 's',
    goal: { of: 'ratio', atMost: 0.5 },
    about: 'npm start to ready, on the state of an earlier start; floor: the build of --against',
    needsAgainst: true,
    run: async (bench) => {
      const state = (side: Side) => join(bench.directory, `warm-${side}`);
      for (const side of sides) await timeStart(bench, side, state(side));
      return measured(await takeTurns(bench, state));
    },
  },
  {
    name: 'start-first',
    unit: 's',
    goal: { of: 'ratio', atMost: 0.5 },
    about: 'npm start to ready, without any state; floor: the build of --against',
    needsAgainst: true,
    run: async (bench) => {
      const state = (side: Side, round: number) => join(bench.directory, `first-${side}-${round}`);
      return measured(await takeTurns(bench, state));
    },
  },
];

type Side = keyof Compared<unknown>;
const sides = ['floor', 'measured'] as const satisfies readonly Side[];

async function buildOf(bench: Bench, side: Side): Promise<string> {
  return side === 'measured' ? presentBuild : await bench.againstBuild();
}

/**
 * Runs both builds at once, on the state of an earlier start, and reads them over the same windows.
 */
async function whileIdle(
  bench: Bench,
  read: (before: Usage, after: Usage) => number,
): Promise<Compared<number[]>> {
  await using started = new AsyncDisposableStack();
  const start = async (side: Side): Promise<StartedBuild> => {
    const state = join(bench.directory, `idle-${side}`);
    await timeStart(bench, side, state);
    const build = await buildOf(bench, side);
    return started.use(await bench.startBuild(build, state));
  };
  const deployments = { floor: await start('floor'), measured: await start('measured') };
  await pause(settleMs);
  const values: Compared<number[]> = { floor: [], measured: [] };
  const usages = () => ({
    floor: deployments.floor.usage(),
    measured: deployments.measured.usage(),
  });
  let before = usages();
  for (let round = 0; round < rounds; round++) {
    await pause(windowMs);
    const after = usages();
    for (const side of sides) values[side].push(read(before[side], after[side]));
    before = after;
  }
  return values;
}

/** Starts the two builds in turns, and returns the seconds that each start took. */
async function takeTurns(
  bench: Bench,
  stateOf: (side: Side, round: number) => string,
): Promise<Compared<number[]>> {
  const values: Compared<number[]> = { floor: [], measured: [] };
  for (let round = 0; round < startRounds; round++) {
    // The order changes, so that a drift within a round favours neither.
    for (const side of round % 2 === 0 ? sides : sides.toReversed()) {
      values[side].push(await timeStart(bench, side, stateOf(side, round)));
    }
  }
  return values;
}

/** Starts a build, stops it again, and returns the seconds until it was ready. */
async function timeStart(bench: Bench, side: Side, state: string): Promise<number> {
  await using deployment = await bench.startBuild(await buildOf(bench, side), state);
  return deployment.readyMs / 1_000;
}

function measured({ floor, measured: values }: Compared<number[]>): Measured {
  const ratios = values.map((value, round) => value / (floor[round] ?? Number.NaN));
  const [lowest, highest] = [Math.min(...ratios), Math.max(...ratios)];
  const remark = `rounds ${lowest.toFixed(2)}× to ${highest.toFixed(2)}×`;
  return { value: median(values), floor: median(floor), remark };
}
