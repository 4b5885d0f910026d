import type { Verification } from './history.ts';

/** A time in which an access was there, or being given or taken. */
export type Period = {
  questionId: number;
  /** For people: whose access, and by which RPC it was taken away. */
  what: string;
  /** When the RPC that gave it was sent, by the machine's clock. */
  fromMs: number;
  /** From when on nobody may accept it; undefined: it was not taken away for sure. */
  end: PeriodEnd | undefined;
};

/** Why an access is over: its RPC returned OK, or died, and a renewal and a lease have gone by. */
type PeriodEnd = { atMs: number; why: 'returned' | 'bounded' };

/** One attempt at an RPC of invariant 4. `outcome` is OK or the name of a reason. */
export type Attempt = {
  what: string;
  sentMs: number;
  endedMs: number;
  outcome: string;
  /** Why this one may take its time: the process that had it in its hands was stopped, say. */
  excuse?: string | undefined;
  /** How long an empty RPC and an empty transaction took at the same time, at most. */
  yardstickMs: number;
  /** For people: what had struck the servers before, and how long ago. */
  after?: string | undefined;
  /** For people: how the answer says that it has spread. */
  propagation?: string | undefined;
};

/** What is wrong, and how much was looked at. */
export type Report = {
  violations: string[];
  /** The number of those that are not reported. */
  violationsUnreported: number;
  verifications: number;
  accepted: number;
  fromMemory: number;
  unavailable: number;
  /** RPCs that said they do not know, and those that nothing is demanded of. */
  unconfirmed: number;
  excused: number;
  /** Of the others, those that were refused with DEPENDENCY_UNAVAILABLE: nothing is known of them. */
  refused: number;
  /**
   * Periods that ended, and those of them which a guard had accepted before and checked afterwards.
   */
  ended: number;
  proved: number;
  /** How long the RPCs took of which something is demanded, ms. */
  tookMs: { median: number; p99: number; max: number };
  /** What an RPC took beyond a lease, in yardsticks, at most. */
  yardsticksMax: number;
  /** Between an RPC's return and the next verification by anyone: median and worst, ms. */
  nextCheckMs: { median: number; max: number };
};

const reportedMax = 20;

/** What an RPC may take beyond a lease by the contract (design, section 5). */
const beyondLeaseMs = 1_000;
/**
 * On a slow machine it may take so many yardsticks: some twenty RPCs and transactions one after
 * another, on a machine that gives a busy process less than one that sleeps most of the time.
 */
const yardsticksMax = 50;
/**
 * A refusal decides nothing. It may take as long as its waits for what did not answer: each is bounded,
 * by 3 s for facts (`libs/guard/guard.ts`) and 5 s for the record of its request (`libs/mongo/read.ts`).
 */
const refusedWaitsMs = 10_000;
/** Refusals while nothing strikes the servers come from a machine that gives a process no time. */
const refusedShareMax = 0.02;

type Checked = { period: Period; wasAccepted: boolean; nextMs: number };

/**
 * Checks a history: no verification that starts after an access was taken away accepts it
 * (invariant 4 of the design). An acceptance must touch a period of its access.
 */
export class Checker {
  readonly #periods = new Map<number, Checked[]>();
  readonly #violations: string[] = [];
  readonly #tookMs: number[] = [];
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
   * Demands that an RPC ended within a lease and what its own work takes on this machine, or said
   * that it does not know; and that few were refused.
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
      const beyondMs = tookMs - leaseMs - (isRefused ? refusedWaitsMs : 0);
      this.#yardsticksMax = Math.max(this.#yardsticksMax, beyondMs / yardstickMs);
      if (beyondMs <= Math.max(beyondLeaseMs, yardsticksMax * yardstickMs)) continue;
      const took = `${what} took ${tookMs.toFixed(0)} ms and said ${outcome}`;
      const beside = `while an empty RPC and transaction took ${yardstickMs.toFixed(0)} ms at most`;
      const entry = [took, beside, attempt.propagation, attempt.after];
      this.#violation(entry.filter((part) => part !== undefined).join(', '));
    }
    const { refused } = this.#counts;
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

/** The value below which this share of a sorted list is. */
function at(sorted: readonly number[], share: number): number {
  return sorted[Math.floor(sorted.length * share)] ?? 0;
}

function describe(questionId: number, period: Period | undefined, startMs: number): string {
  if (period?.end === undefined) return `question ${questionId}, which was never granted`;
  const lateMs = (startMs - period.end.atMs).toFixed(3);
  const since = period.end.why === 'returned' ? 'its RPC had returned' : 'its bound had passed';
  return `question ${questionId} (${period.what}) ${lateMs} ms after ${since}`;
}
