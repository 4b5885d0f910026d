import type { Verification } from './history.ts';

/** The time in which an access was granted, including the time of granting and removing it. */
export type Period = {
  questionId: number;
  /** For people: the access, and the RPC that removed it. */
  what: string;
  /** When the RPC that gave it was sent, by the machine's clock. */
  fromMs: number;
  /** The time from which no guard may accept it; undefined if it was not certainly removed. */
  end: PeriodEnd | undefined;
};

/**
 * Why an access has ended: its RPC returned OK, or the RPC had no result, and a renewal and a lease
 * have passed.
 */
type PeriodEnd = { atMs: number; why: 'returned' | 'bounded' };

/** One attempt at an RPC of invariant 4. `outcome` is OK or the name of a reason. */
export type Attempt = {
  what: string;
  sentMs: number;
  endedMs: number;
  outcome: string;
  /** Why this attempt may take longer, such as that its process was stopped. */
  excuse?: string | undefined;
  /** Maximum time of an empty RPC and an empty transaction during it. */
  yardstickMs: number;
  /** For people: the last strike before it, and how long ago it was. */
  after?: string | undefined;
  /** For people: the propagation in the answer. */
  propagation?: string | undefined;
};

/** The violations, and the amount of checks. */
export type Report = {
  violations: string[];
  /** The number of those that are not reported. */
  violationsUnreported: number;
  verifications: number;
  accepted: number;
  fromMemory: number;
  unavailable: number;
  /** RPCs with an unknown outcome, and RPCs without requirements. */
  unconfirmed: number;
  excused: number;
  /** The other RPCs that were refused with DEPENDENCY_UNAVAILABLE, so their outcome is unknown. */
  refused: number;
  /** Periods that ended, and those of them that a guard accepted before and checked afterwards. */
  ended: number;
  proved: number;
  /** Duration of the RPCs that have a time limit, in ms. */
  tookMs: { median: number; p99: number; max: number };
  /** Maximum time of an RPC beyond a lease, in yardsticks. */
  yardsticksMax: number;
  /**
   * Time between an RPC's return and the next verification by any guard: median and maximum, ms.
   */
  nextCheckMs: { median: number; max: number };
};

const reportedMax = 20;

/** The time that an RPC may take beyond a lease by the contract (design, section 5). */
const beyondLeaseMs = 1_000;
/**
 * On a slow machine it may take this number of yardsticks: about twenty RPCs and transactions one
 * after another, on a machine that gives a busy process less time than a mostly idle one.
 */
const yardsticksMax = 50;
/**
 * A refusal decides nothing. It may take as long as its waits for servers that did not answer,
 * which are limited: 3 s for facts (`libs/guard/guard.ts`) and 5 s for the record of its request
 * (`libs/mongo/read.ts`).
 */
const refusedWaitsMs = 10_000;
/**
 * The shortest of those waits. A machine on which the work of an answer takes as long explains the
 * refusal.
 */
const refusedWaitMsMin = 3_000;
/** Refusals without a strike come from a machine that gives a process no time for a moment. */
const refusedShareMax = 0.02;

type Checked = { period: Period; wasAccepted: boolean; nextMs: number };

/**
 * Checks a history: no verification that starts after an access was removed accepts it (invariant 4
 * of the design). An acceptance must overlap a period of its access.
 */
export class Checker {
  readonly #periods = new Map<number, Checked[]>();
  readonly #violations: string[] = [];
  readonly #tookMs: number[] = [];
  #unexplained = 0;
  #yardsticksMax = 0;
  #unreported = 0;
  readonly #counts = {
    ...{ verifications: 0, accepted: 0, fromMemory: 0, unavailable: 0 },
    ...{ unconfirmed: 0, excused: 0, refused: 0 },
  };

  constructor(periods: Iterable<Period>) {
    for (const period of periods) {
      const entry = { period, wasAccepted: false, nextMs: Number.POSITIVE_INFINITY };
      const known = this.#periods.get(period.questionId);
      if (known === undefined) this.#periods.set(period.questionId, [entry]);
      else known.push(entry);
    }
  }

  /** Takes one guard's verifications, in any order. */
  see(guard: string, verifications: Iterable<Verification>): void {
    for (const verification of verifications) this.#see(guard, verification);
  }

  /**
   * Requires that an RPC ended within a lease and the time of its own work on this machine, or
   * reported an unknown outcome; and that few were refused for which this machine was fast enough.
   */
  seeAttempts(attempts: Iterable<Attempt>, { leaseMs }: { leaseMs: number }): void {
    for (const attempt of attempts) {
      const { what, sentMs, endedMs, outcome, excuse, yardstickMs } = attempt;
      if (outcome === 'PROPAGATION_UNCONFIRMED') this.#counts.unconfirmed++;
      else if (excuse !== undefined) this.#counts.excused++;
      if (outcome === 'PROPAGATION_UNCONFIRMED' || excuse !== undefined) continue;
      const tookMs = endedMs - sentMs;
      this.#tookMs.push(tookMs);
      const isRefused = outcome === 'DEPENDENCY_UNAVAILABLE';
      if (isRefused) this.#counts.refused++;
      if (isRefused && yardsticksMax * yardstickMs < refusedWaitMsMin) this.#unexplained++;
      const beyondMs = tookMs - leaseMs - (isRefused ? refusedWaitsMs : 0);
      this.#yardsticksMax = Math.max(this.#yardsticksMax, beyondMs / yardstickMs);
      if (beyondMs <= Math.max(beyondLeaseMs, yardsticksMax * yardstickMs)) continue;
      const took = `${what} took ${tookMs.toFixed(0)} ms and said ${outcome}`;
      const beside = `while an empty RPC and transaction took ${yardstickMs.toFixed(0)} ms at most`;
      const entry = [took, beside, attempt.propagation, attempt.after];
      this.#violation(entry.filter((part) => part !== undefined).join(', '));
    }
    const refused = this.#unexplained;
    const demanded = this.#tookMs.length;
    if (refused <= Math.max(1, refusedShareMax * demanded)) return;
    const why = 'were refused with DEPENDENCY_UNAVAILABLE while nothing struck the servers';
    this.#violation(`${refused} of ${demanded} RPCs ${why}`);
  }

  report(): Report {
    const ended = [...this.#periods.values()].flat().filter(({ period }) => period.end);
    const isChecked = ({ nextMs }: Checked) => Number.isFinite(nextMs);
    const waits = ended.filter(isChecked).map(({ nextMs }) => nextMs);
    waits.sort((a, b) => a - b);
    const tookMs = this.#tookMs.toSorted((a, b) => a - b);
    return {
      violations: this.#violations,
      violationsUnreported: this.#unreported,
      ...this.#counts,
      ended: ended.length,
      proved: ended.filter((entry) => entry.wasAccepted && isChecked(entry)).length,
      tookMs: { median: at(tookMs, 0.5), p99: at(tookMs, 0.99), max: tookMs.at(-1) ?? 0 },
      yardsticksMax: this.#yardsticksMax,
      nextCheckMs: { median: at(waits, 0.5), max: waits.at(-1) ?? 0 },
    };
  }

  #see(guard: string, verification: Verification): void {
    const { questionId, startMs, endMs, verdict, isFromMemory } = verification;
    this.#counts.verifications++;
    if (isFromMemory) this.#counts.fromMemory++;
    if (verdict === 'unavailable') this.#counts.unavailable++;
    const periods = this.#periods.get(questionId) ?? [];
    let isHeld = false;
    let last: Checked | undefined;
    for (const entry of periods) {
      const { fromMs, end } = entry.period;
      const waitMs = startMs - (end?.atMs ?? Number.POSITIVE_INFINITY);
      if (waitMs > 0) {
        entry.nextMs = Math.min(entry.nextMs, waitMs);
        last = entry;
      } else if (fromMs <= endMs) {
        isHeld = true;
        if (verdict === 'accepted') entry.wasAccepted = true;
      }
    }
    if (verdict !== 'accepted') return;
    this.#counts.accepted++;
    if (isHeld) return;
    const where = isFromMemory ? 'from memory' : 'after a fetch';
    this.#violation(`${guard} accepts ${where} ${describe(questionId, last?.period, startMs)}`);
  }

  #violation(text: string): void {
    if (this.#violations.length < reportedMax) this.#violations.push(text);
    else this.#unreported++;
  }
}

/** The value below which this share of a sorted list lies. */
function at(sorted: readonly number[], share: number): number {
  return sorted[Math.floor(sorted.length * share)] ?? 0;
}

function describe(questionId: number, period: Period | undefined, startMs: number): string {
  if (period?.end === undefined) return `question ${questionId}, which was never granted`;
  const lateMs = (startMs - period.end.atMs).toFixed(3);
  const since = period.end.why === 'returned' ? 'its RPC had returned' : 'its bound had passed';
  return `question ${questionId} (${period.what}) ${lateMs} ms after ${since}`;
}
