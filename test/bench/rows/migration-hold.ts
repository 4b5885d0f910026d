import type { Bench } from '../bench-servers.ts';
import { CaptureLoad, type Captures } from '../capture-load.ts';
import { median, quantile } from '../measure.ts';
import { type Cutover, MigratingProject } from '../migrating-project.ts';
import type { Measured, Row } from '../row.ts';

const eventCount = 100_000;
const cutoverCount = 20;
const rate = { requestsPerSecond: 20, eventsPerRequest: 50 };
/** Held captures are answered within this time after they are forwarded to the other region. */
const answeredMsMax = 1_000;
/** SDKs give up after about 9 s. */
const holdMsMax = 6_000;

/** One cutover, as seen by clients. */
type Hold = Cutover & {
  /** The longest wait of a request that overlapped the hold. */
  waitedMs: number;
};

type Holds = {
  there: Hold[];
  back: Hold[];
  pairMs: number[];
  eventCount: number;
  waitingMax: number;
  lateMsMax: number;
};

/**
 * How long a client waits for the answer to a capture while its project is cut over to another
 * region, and back, under 1,000 captures a second, sent to the region of origin. Both rows are of
 * one run, in which the project migrates and is rolled back alternately.
 */
export const migrationHold: readonly Row[] = [
  row('migration-hold', 'there', 'migration to another region'),
  row('migration-rollback', 'back', 'rollback of a migration'),
];

const runs = new WeakMap<Bench, Promise<Holds>>();

function row(name: string, side: 'there' | 'back', what: string): Row {
  return {
    name,
    unit: 'ms',
    goal: { of: 'value', atMost: 1_000 },
    about: `longest wait for a capture at the cutover of a ${what} with ${eventCount} events (--events), under 1,000 captures a second, p99 of ${cutoverCount} (--cutovers)`,
    run: async (bench) => {
      const run = runs.get(bench) ?? measure(bench);
      runs.set(bench, run);
      const holds = await run;
      return measuredBy(holds[side], holds);
    },
  };
}

async function measure(bench: Bench): Promise<Holds> {
  const { events = eventCount, cutovers = cutoverCount } = bench;
  await using project = await MigratingProject.open(bench, events);
  const { captureUrl: url, token } = project;
  await using captures = await CaptureLoad.start({ url, token, ...rate });
  const holds: Holds = {
    ...{ there: [], back: [], pairMs: [] },
    ...{ eventCount: events, waitingMax: 0, lateMsMax: 0 },
  };
  for (let pair = 0; pair < cutovers; pair++) {
    const startMs = performance.now();
    const { done, ...sent } = await captures.during(
      (signal) => project.migrateAndRollBack(signal),
      () => project.status(),
    );
    holds.pairMs.push(performance.now() - startMs);
    holds.there.push(holdOf(done.there, sent));
    holds.back.push(holdOf(done.back, sent));
    holds.waitingMax = Math.max(holds.waitingMax, sent.waitingMax);
    holds.lateMsMax = Math.max(holds.lateMsMax, sent.lateMsMax);
    await project.removeCaptured(sent.sent.length * rate.eventsPerRequest);
  }
  return holds;
}

function holdOf(cutover: Cutover, { sent }: Captures): Hold {
  const { holdFromMs, holdUntilMs } = cutover;
  const untilMs = holdUntilMs + answeredMsMax;
  const waits = sent
    .filter(({ atMs, tookMs }) => atMs <= untilMs && atMs + tookMs >= holdFromMs)
    .map(({ tookMs }) => tookMs);
  const waitedMs = Math.max(...waits);
  if (waitedMs > holdMsMax) throw new Error(`a capture waited for ${waitedMs.toFixed(0)} ms`);
  return { ...cutover, waitedMs };
}

function measuredBy(
  holds: readonly Hold[],
  { eventCount, pairMs, waitingMax, lateMsMax }: Holds,
): Measured {
  const waits = holds.map(({ waitedMs }) => waitedMs);
  const attempts = holds.reduce((sum, hold) => sum + hold.attempts, 0);
  const remark = [
    `${holds.length} at ${eventCount} events in ${attempts} attempts`,
    `wait ${spread(waits)}`,
    `hold by the record ${spread(holds.map(({ holdMs }) => holdMs))}`,
    `${waitingMax} requests at once, sent up to ${lateMsMax.toFixed(0)} ms late`,
    `pairs of migration and rollback ${spread(pairMs)}`,
  ].join('; ');
  return { value: quantile(waits, 0.99), remark };
}

function spread(ms: readonly number[]): string {
  return `median ${median(ms).toFixed(0)} ms, max ${Math.max(...ms).toFixed(0)}`;
}
