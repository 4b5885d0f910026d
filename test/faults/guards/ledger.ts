import type { Yardstick } from '../../harness/yardstick.ts';
import type { Attempt, Period } from './checker.ts';
import type { Fleet } from './fleet.ts';
import type { Trouble } from './nemesis.ts';
import type { CheckedAccess, Question } from './question.ts';

/** Number of removed accesses that are still checked, also by guards that resume late. */
const endedCheckedMax = 60;

/** What was granted and removed, when, and the outcome of every attempt. */
export class Ledger {
  readonly periods: Period[] = [];
  readonly attempts: Attempt[] = [];
  /** Number of revocations whose RPC returned OK, by its name. */
  readonly returned = new Map<string, number>();
  /** Revocations whose RPC had no result and was not repeated before its time limit had passed. */
  bounded = 0;
  readonly #fleet: Fleet;
  readonly #yardstick: Yardstick;
  readonly #questions = new Map<number, Question>();
  readonly #open = new Map<number, Period>();
  #endedChecked: number[] = [];
  readonly #waiting = new Set<{ attempts: number; resolve: () => void }>();

  constructor(fleet: Fleet, yardstick: Yardstick) {
    this.#fleet = fleet;
    this.#yardstick = yardstick;
  }

  /** An access that is granted from then on at the earliest; every guard checks it. */
  give(what: string, access: CheckedAccess, fromMs: number): number {
    const question = { ...access, id: this.#fleet.newQuestionId() };
    this.#questions.set(question.id, question);
    this.#begin(question, what, fromMs);
    return question.id;
  }

  /** Grants the same access again. */
  giveAgain(id: number, what: string, fromMs: number): void {
    this.#begin(this.question(id), what, fromMs);
  }

  question(id: number): Question {
    const question = this.#questions.get(id);
    if (question === undefined) throw new RangeError(`there is no question ${id}`);
    return question;
  }

  /**
   * The access has ended: from then on no guard may accept it. Of two ends the earlier one counts.
   */
  end(id: number, atMs: number, why: 'returned' | 'bounded'): void {
    const period = this.#open.get(id);
    if (period === undefined) throw new RangeError(`question ${id} has never been given`);
    if (period.end !== undefined && period.end.atMs <= atMs) return;
    period.end = { atMs, why };
    if (!this.#endedChecked.includes(id)) this.#endedChecked.push(id);
    const over = this.#endedChecked.length - endedCheckedMax;
    if (over > 0) this.#fleet.retire(this.#endedChecked.splice(0, over));
  }

  /** The access that is granted and not removed. */
  held(): number[] {
    return [...this.#open].filter(([, { end }]) => end === undefined).map(([id]) => id);
  }

  /** Removed accesses are no longer checked. */
  retireEnded(): void {
    this.#fleet.retire(this.#endedChecked.splice(0));
  }

  /** Guards check these again, now that the access has certainly ended. */
  recheck(ids: readonly number[]): void {
    for (const id of ids) this.#fleet.recheck(id);
  }

  attempted(attempt: Omit<Attempt, 'yardstickMs'>): void {
    const yardstickMs = this.#yardstick.longestMs(attempt.sentMs, attempt.endedMs);
    this.attempts.push({ ...attempt, yardstickMs });
    for (const waiter of this.#waiting) {
      if (this.attempts.length < waiter.attempts) continue;
      this.#waiting.delete(waiter);
      waiter.resolve();
    }
  }

  /** Excuses attempts during trouble of the servers, which may have taken longer. */
  excuse(troubles: readonly Trouble[]): void {
    for (const attempt of this.attempts) {
      const isDuring = ({ fromMs, untilMs }: Omit<Trouble, 'what'>) =>
        attempt.sentMs < untilMs && attempt.endedMs > fromMs;
      attempt.excuse = troubles.find(isDuring)?.what;
      attempt.after = lastBefore(attempt.sentMs, troubles);
    }
  }

  /** Resolves when this number of attempts has ended. */
  async untilAttempts(attempts: number): Promise<void> {
    if (this.attempts.length >= attempts) return;
    await new Promise<void>((resolve) => this.#waiting.add({ attempts, resolve }));
  }

  /** The number of complete revocations. */
  get count(): number {
    let count = 0;
    for (const each of this.returned.values()) count += each;
    return count;
  }

  #begin(question: Question, what: string, fromMs: number): void {
    const period: Period = { questionId: question.id, what, fromMs, end: undefined };
    this.periods.push(period);
    this.#open.set(question.id, period);
    this.#endedChecked = this.#endedChecked.filter((id) => id !== question.id);
    this.#fleet.check(question);
  }
}

/** Such as `40 ms after “NATS is killed” was over`; undefined before the first strike. */
function lastBefore(atMs: number, troubles: readonly Trouble[]): string | undefined {
  const last = troubles
    .filter(({ untilMs }) => untilMs <= atMs)
    .toSorted((a, b) => a.untilMs - b.untilMs)
    .at(-1);
  return last && `${(atMs - last.untilMs).toFixed(0)} ms after “${last.what}” was over`;
}
