import { setTimeout as pause } from 'node:timers/promises';

/** One operation, from its start to its end. */
export type Operation = () => Promise<unknown>;

/** Milliseconds that one operation took. */
export type Latencies = { p50Ms: number; p99Ms: number };

/** Work of many concurrent clients, each one operation after another. */
export type Load = {
  clients: number;
  operation(client: number): Promise<unknown>;
  /** Ends a round; the time that it waits counts for the round. */
  drain?: Operation;
};

/** A measured value, and the value that it is compared with. */
export type Compared<T> = { floor: T; measured: T };

/** Operations per second of both sides in one round, and the range of the other rounds' ratios. */
export type Throughputs = Compared<number> & { lowestRatio: number; highestRatio: number };

/**
 * Compares the latencies of two operations, in turns of a few calls each on the same machine, so
 * that other work of the machine affects both alike. The order changes from round to round.
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
    /** Preparation of each call of either side, which is not measured. */
    before?: Operation;
    /**
     * Pause between turns, so that work that one side leaves after its answers does not affect the
     * other.
     */
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
 * Compares the operations per second of two loads that take turns. Returns the round with the
 * median ratio, because both sides of one round saw the same machine.
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

/** The order is A B, then B A, so that a drift within the round favours neither. */
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

/** The element at this fraction of the list, from 0 for the first to 1 for the last. */
function at<T>(sorted: readonly T[], share: number): T | undefined {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}
