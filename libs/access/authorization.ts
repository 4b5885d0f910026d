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

  constructor(...permits: Permit[]) {
    this.#permits.push(...permits);
  }

  /** The mutation commits only while this permit is held, too. */
  addPermit(permit: Permit): void {
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

  /** Whether every permit is still held. */
  get isHeld(): boolean {
    return this.#permits.every((permit) => permit.isHeld());
  }

  /** Refuses with DEPENDENCY_UNAVAILABLE if a permit has expired: nothing was decided. */
  requireHeld(): void {
    if (!this.isHeld) throw errors.dependencyUnavailable('the access registry');
  }

  /** Releases the permits: nothing more is decided by them. */
  release(): void {
    for (const permit of this.#permits.splice(0)) permit.release();
  }

  /** Leaves the permits to expire unreleased: what they were for may still be decided. */
  leaveToExpire(): void {
    this.#permits.splice(0);
  }
}
