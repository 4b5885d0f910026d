import { errors } from '@silo/errors/errors.ts';
import type { Demand } from './access.ts';
import type { Permit } from './permits.ts';

/**
 * What a mutation was allowed: the permits under which it decides, and the demands that a repeat of
 * its request must meet again. Access checks add to it until the mutation is decided.
 */
export class Authorization {
  readonly #permits: Permit[] = [];
  readonly #demands: Demand[] = [];
  #isOver = false;

  constructor(...permits: Permit[]) {
    this.#permits.push(...permits);
  }

  /** Requires that this permit, too, is held when the mutation commits. */
  addPermit(permit: Permit): void {
    this.#isOver = false;
    this.#permits.push(permit);
  }

  /** Requires that a repeat of the request meets this demand, too. */
  addDemand(demand: Demand): void {
    this.#demands.push(demand);
  }

  /** The demands that authorize a repeat, unless the decision specifies others. */
  get demands(): readonly Demand[] {
    return this.#demands;
  }

  /**
   * How long all permits are still held, in milliseconds: 0 after they were released or left to
   * expire, until another is added, and Infinity if there never was one.
   */
  get remainingMs(): number {
    if (this.#isOver) return 0;
    return Math.min(...this.#permits.map((permit) => permit.remainingMs()));
  }

  /**
   * Refuses with DEPENDENCY_UNAVAILABLE unless every permit is held for at least `forMs`, which is
   * more than 0; then nothing was decided. Returns how long they are held.
   */
  requireHeld(forMs: number): number {
    const { remainingMs } = this;
    if (remainingMs < forMs) throw errors.dependencyUnavailable('the access registry');
    return remainingMs;
  }

  /** Releases the permits, by which nothing more will be decided. */
  release(): void {
    for (const permit of this.#takePermits()) permit.release();
  }

  /** Leaves the permits to expire, because the mutation may still be decided. */
  leaveToExpire(): void {
    this.#takePermits();
  }

  #takePermits(): Permit[] {
    this.#isOver ||= this.#permits.length > 0;
    return this.#permits.splice(0);
  }
}
