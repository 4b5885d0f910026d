import { setTimeout as pause } from 'node:timers/promises';

/** One operation, from its start to its end. */
export type Operation = () => Promise<unknown>;

/** Milliseconds that one operation took. */
export type Latencies = { p50Ms: number; p99Ms: number };

/** Work that many clients do at once, each one operation after another. */
export type Load = {
  clients: number;
  operation(client: number): Promise<unknown>;
  /** Ends a round: what it still waits for counts as the round's time. */
  drain?: Operation;
};

/** What was measured, and what it is measured against. */
export type Compared<T> = { floor: T; measured: T };

/** Operations per second of both sides in one round, and how far the other rounds' ratios spread. */
export type Throughputs = Compared<number> & { lowestRatio: number; highestRatio: number };

/**
 * Latencies of two operations, in turns of a few calls each on the same machine, so that what else
 * the machine does hits both alike. The order changes from round to round.
 */
export async function compareLatencies(
  operations: Compared<Operation>,
  {
    rounds = 60,
    callsPerTurn = 4,
    warmUpRounds = 20,
    settleMs = 20,
    before = async () => {},
  }: {
    rounds?: number;
    callsPerTurn?: number;
    warmUpRounds?: number;
    /** What each call of either side needs first, and is no part of it. */
    before?: Operation;
    /** Between turns: what one side leaves to be done behind its answer does not burden the other. */
    settleMs?: number;
  } = {},
): Promise<Compared<Latencies>> {
  const took: Compared<number[]> = { floor: [], measured: [] };
  for (let round = -warmUpRounds; round < rounds; round++) {
    for (const side of turns(round)) {
      for (let call = 0; call < callsPerTurn; call++) {
        await before();
        const startMs = performance.now();
        await operations[side]();
        if (round >= 0) took[side].push(performance.now() - startMs);
      }
      await pause(settleMs);
    }
  }
  return { floor: latencies(took.floor), measured: latencies(took.measured) };
}

/**
 * Operations per second of two loads that take turns. Answered is the round whose ratio is the
 * median: both sides of one round saw the same machine.
 */
export async function compareThroughputs(
  loads: Compared<Load>,
  {
    rounds = 9,
    warmUpRounds = 2,
    roundMs = 700,
  }: { rounds?: number; warmUpRounds?: number; roundMs?: number } = {},
): Promise<Throughputs> {
  const measuredRounds: Compared<number>[] = [];
  for (let round = -warmUpRounds; round < rounds; round++) {
    const rates: Compared<number> = { floor: Number.NaN, measured: Number.NaN };
    for (const side of turns(round)) rates[side] = await throughput(loads[side], roundMs);
    if (round >= 0) measuredRounds.push(rates);
  }
  const byRatio = measuredRounds.toSorted((a, b) => ratioOf(a) - ratioOf(b));
  const [lowest, middle, highest] = [0, 0.5, 1].map((share) => at(byRatio, share));
  if (!lowest || !middle || !highest) throw new RangeError('at least one round is needed');
  return { ...middle, lowestRatio: ratioOf(lowest), highestRatio: ratioOf(highest) };
}

async function throughput({ clients, operation, drain }: Load, roundMs: number): Promise<number> {
  const startMs = performance.now();
  let done = 0;
  const client = async (index: number) => {
    while (performance.now() - startMs < roundMs) {
      await operation(index);
      done++;
    }
  };
  await Promise.all(Array.from({ length: clients }, (_, index) => client(index)));
  await drain?.();
  return done / ((performance.now() - startMs) / 1_000);
}

/** A B, then B A: a drift within the round favours neither. */
function turns(round: number): readonly (keyof Compared<unknown>)[] {
  return round % 2 === 0 ? ['floor', 'measured'] : ['measured', 'floor'];
}

function latencies(tookMs: readonly number[]): Latencies {
  return { p50Ms: median(tookMs), p99Ms: quantile(tookMs, 0.99) };
}

function ratioOf({ floor, measured }: Compared<number>): number {
  return measured / floor;
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** The value below which this share of them lies. */
export function quantile(values: readonly number[], share: number): number {
  return (
    at(
      values.toSorted((a, b) => a - b),
      share,
    ) ?? Number.NaN
  );
}

/** What stands so far into the list, from 0 for the first to 1 for the last. */
function at<T>(sorted: readonly T[], share: number): T | undefined {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}
