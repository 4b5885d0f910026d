import { rm } from 'node:fs/promises';
import { eventually } from '../../harness/eventually.ts';
import { settledViolations } from '../../invariants.ts';
import { SeededRandom } from '../../simulation/random.ts';
import { Checker, type Report } from './checker.ts';
import type { Cluster } from './cluster.ts';
import type { Fleet } from './fleet.ts';
import { readHistory } from './history.ts';
import type { Ledger } from './ledger.ts';
import { planStrikes, type StrikeName, strikes } from './nemesis.ts';
import { storm } from './storm.ts';

/** The short lease shows more faults in less time; the other is that of production. */
export const leases = [
  { leaseMs: 2_000, renewMs: 950 },
  { leaseMs: 5_000, renewMs: 2_000 },
] as const;

/** The strikes, and their frequency, that show quickly that a protection is off. */
type Steered = { names: StrikeName[]; everyAttempts: number };

/** The protections in guards that real processes show; the simulation shows all. */
export const controls: Readonly<Record<string, Steered>> = {
  // A guard that resumes trusts a flag that no timer has reset yet.
  'clocks-at-each-use': { names: ['stopGuard'], everyAttempts: 4 },
};

export type SuiteOptions = {
  seed: number;
  revocations: number;
  /** Further minimum of the storm, whatever the number of revocations; default none. */
  least?: { strikes: number; kinds: number };
  lease: { leaseMs: number; renewMs: number };
  /** The strikes to use; default all. */
  names?: StrikeName[];
  /** Average number of attempts between two strikes. */
  everyAttempts: number;
  log: (line: string) => void;
};

/** The result of one storm. */
export type Outcome = {
  report: Report;
  /** Number of complete revocations, by RPC. */
  returned: Map<string, number>;
  bounded: number;
  strikes: number;
  attempts: number;
  /** Time from the last fault until every guard answered everything from memory again. */
  healedMs: number;
};

const nothing = { strikes: 0, kinds: 0 };

/** Runs one storm by its seed, and checks all decisions of its guards. */
export async function runStorm(
  cluster: Cluster,
  fleet: Fleet,
  { seed, revocations, least = nothing, lease, names, everyAttempts, log }: SuiteOptions,
): Promise<Outcome> {
  const plan = planStrikes(new SeededRandom(seed), {
    count: revocations,
    everyAttempts,
    names: names ?? (Object.keys(strikes) as StrikeName[]),
  });
  log(`storm of seed ${seed}: ${revocations} revocations`);
  const { ledger, strikes: struck } = await storm(cluster, fleet, {
    ...{ seed, revocations, least, plan, lease, log },
  });
  // Guards that resumed late check all removed accesses.
  await fleet.reports();
  ledger.retireEnded();
  const healedMs = await untilFromMemory(fleet, ledger.held());
  fleet.retireAll();
  const report = await check(fleet, ledger, lease);
  return {
    report,
    returned: ledger.returned,
    bounded: ledger.bounded,
    strikes: struck,
    attempts: ledger.attempts.length,
    healedMs,
  };
}

/** For people, in a few lines. */
export function summarize({
  report,
  returned,
  bounded,
  strikes,
  attempts,
  healedMs,
}: Outcome): string[] {
  const { verifications, accepted, fromMemory, unavailable, ended, proved, nextCheckMs } = report;
  const [median, p99, max] = Object.values(report.tookMs).map((ms) => ms.toFixed(0));
  const share = ((100 * fromMemory) / Math.max(1, verifications)).toFixed(2);
  const { unconfirmed, excused, refused, yardsticksMax } = report;
  return [
    [...returned].map(([what, count]) => `${what} ${count}`).join(', '),
    `${attempts} RPCs ended under ${strikes} strikes: ${unconfirmed} unconfirmed, ${excused} of struck servers, ${refused} others refused; ${bounded} died and were bounded`,
    `what was held to its time took ${median} ms (median), ${p99} (99 %), ${max} at most: a lease and ${yardsticksMax.toFixed(1)} yardsticks`,
    `${verifications} verifications, ${share} % from memory: ${accepted} accepted, ${unavailable} without an answer`,
    `${proved} of ${ended} ends were seen on both sides; checked again after ${nextCheckMs.median.toFixed(1)} ms (median)`,
    `from memory again ${healedMs.toFixed(0)} ms after the last fault`,
  ];
}

/** Waits until every guard that checks these accepts them from memory; returns the duration. */
async function untilFromMemory(fleet: Fleet, ids: readonly number[]): Promise<number> {
  const startedMs = performance.now();
  await eventually(async () => {
    for (const { name, fromMemory } of await fleet.reports()) {
      const missing = ids.filter((id) => fleet.isChecking(name, id) && !fromMemory.includes(id));
      if (missing.length > 0) throw new Error(`${name} does not accept ${missing} from memory`);
    }
  });
  return performance.now() - startedMs;
}

/** Checks the history since the last check, of these guards or of all. */
export async function check(
  fleet: Fleet,
  ledger: Ledger,
  lease: { leaseMs: number },
  names?: readonly string[],
): Promise<Report> {
  const checker = new Checker(ledger.periods);
  for (const { guard, file } of await fleet.turnPages()) {
    if (names?.includes(guard) ?? true) checker.see(guard, readHistory(file));
    await rm(file, { force: true });
  }
  checker.seeAttempts(ledger.attempts, lease);
  return checker.report();
}

/** Everything else that must hold after the storm; empty if it does. */
export async function aftermath(cluster: Cluster, fleet: Fleet): Promise<string[]> {
  const violations = await settledViolations(cluster);
  return [
    ...violations.map(({ invariant, found }) => `${invariant}: ${found}`),
    ...cluster.failures.map((error) => `ended by itself: ${error.message}`),
    ...fleet.guards.flatMap(({ failures }) =>
      failures.map((error) => `ended by itself: ${error.message}`),
    ),
  ];
}
