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

  /** The mutation commits only while this permit is held, too. */
  addPermit(permit: Permit): void {
    this.#isOver = false;
    this.#permits.push(permit);
  }

  /** A repeat of the request must be allowed this, too. */
  addDemand(demand: Demand): void {
    this.#demands.push(demand);
  }

  /** What a repeat is authorized by, unless the decision specifies something else. */
  get demands(): readonly Demand[] {
    return this.#demands;
  }

  /**
   * For how long every permit is held, in milliseconds: 0 once they are released or left to expire, until
   * another is added, and Infinity if there never was one.
   */
  get remainingMs(): number {
    if (this.#isOver) return 0;
    return Math.min(...this.#permits.map((permit) => permit.remainingMs()));
  }

  /**
   * Refuses with DEPENDENCY_UNAVAILABLE unless every permit is held for so long, which is more than 0:
   * nothing was decided. Returns for how long they are held.
   */
  requireHeld(forMs: number): number {
    const { remainingMs } = this;
    if (remainingMs < forMs) throw errors.dependencyUnavailable('the access registry');
    return remainingMs;
  }

  /** Releases the permits: nothing more is decided by them. */
  release(): void {
    for (const permit of this.#takePermits()) permit.release();
  }

  /** Leaves the permits to expire unreleased: what they were for may still be decided. */
  leaveToExpire(): void {
    this.#takePermits();
  }

  #takePermits(): Permit[] {
    this.#isOver ||= this.#permits.length > 0;
    return this.#permits.splice(0);
  }
}
