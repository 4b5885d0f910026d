import { setTimeout as pause } from 'node:timers/promises';
import type { Bench } from '../bench-servers.ts';
import { CaptureLoad, type Captures } from '../capture-load.ts';
import { type Compared, quantile } from '../measure.ts';
import { MigratingProject } from '../migrating-project.ts';
import { giveOwnCore } from '../own-cores.ts';
import type { Measured, Row } from '../row.ts';

const eventCount = 100_000;
const rate = { requestsPerSecond: 20, eventsPerRequest: 50 };
const warmUpMs = 10_000;
const idleMs = 30_000;
/** A capture sent this shortly before the cutover may wait for it. */
const apartMs = 1_000;

/** The durations of requests in one period, in ms. */
type Run = Compared<number[]> & { eventCount: number; lateMsMax: number };

/**
 * The duration of a capture at the region whose project is being copied and compared, until its
 * cutover. The floor: the same process's captures before, in the same run. Both under 1,000
 * captures a second. In the rows `apart` the regions do not share a core, like regions on machines
 * of their own.
 */
export const migrationLatency: readonly Row[] = [
  row('migration-latency-p50', 0.5),
  row('migration-latency-p99', 0.99),
  row('migration-latency-apart-p50', 0.5, 'apart'),
  row('migration-latency-apart-p99', 0.99, 'apart'),
];

type Place = 'shared' | 'apart';
const runs = {
  shared: new WeakMap<Bench, Promise<Run>>(),
  apart: new WeakMap<Bench, Promise<Run>>(),
};

function row(name: string, share: number, place: Place = 'shared'): Row {
  const where = place === 'apart' ? ', each region on a core of its own' : '';
  return {
    name,
    unit: 'ms',
    goal: { of: 'ratio', atMost: 1.5 },
    about: `a capture of ${rate.eventsPerRequest} events, ${rate.requestsPerSecond} a second, while ${eventCount} events (--events) are copied to another region${where}; floor: before`,
    run: async (bench) => {
      const run = runs[place].get(bench) ?? measure(bench, place);
      runs[place].set(bench, run);
      return measuredBy(await run, share);
    },
  };
}

async function measure(bench: Bench, place: Place): Promise<Run> {
  const { events = eventCount } = bench;
  await using project = await MigratingProject.open(bench, events);
  const { captureUrl: url, token } = project;
  if (place === 'apart') giveOwnCore(project.destinationDirectory);
  await using captures = await CaptureLoad.start({ url, token, ...rate });
  const idleThenMigrating = async (signal: AbortSignal) => {
    await pause(warmUpMs, undefined, { signal });
    const idleFromMs = Date.now();
    await pause(idleMs, undefined, { signal });
    const idleUntilMs = Date.now();
    return { idleFromMs, idleUntilMs, ...(await project.migrate(signal)) };
  };
  const { done, lateMsMax, sent } = await captures.during(idleThenMigrating, () =>
    project.status(),
  );
  const { idleFromMs, idleUntilMs, startMs, holdFromMs } = done;
  return {
    floor: tookBetween(sent, idleFromMs, idleUntilMs),
    measured: tookBetween(sent, startMs, holdFromMs - apartMs),
    ...{ eventCount: events, lateMsMax },
  };
}

function tookBetween(sent: Captures['sent'], fromMs: number, untilMs: number): number[] {
  return sent.filter(({ atMs }) => atMs >= fromMs && atMs < untilMs).map(({ tookMs }) => tookMs);
}

function measuredBy({ floor, measured, eventCount, lateMsMax }: Run, share: number): Measured {
  const counts = `${measured.length} requests during the copy of ${eventCount} events, ${floor.length} before`;
  return {
    value: quantile(measured, share),
    floor: quantile(floor, share),
    remark: `${counts}; sent up to ${lateMsMax.toFixed(0)} ms late`,
  };
}
