import { haveReached, laterOf, type Positions } from '../core/position.ts';
import type { Committed } from './committed.ts';
import type { StoredLease } from './messages.ts';

/** Acknowledgements heard for leases that no list has shown yet, at most. */
const unlistedMax = 10_000;

/**
 * What this replica was told that guards have acknowledged, by lease. A message may come before the
 * replica knows that the source has committed as much: it counts from when it knows.
 */
export class HeardAcknowledgements {
  readonly #byLease: boolean;
  readonly #committed: Committed;
  readonly #heard = new Map<string, Positions>();

  /** `byLease` false: by the guard's name (control runs). */
  constructor(byLease: boolean, committed: Committed) {
    this.#byLease = byLease;
    this.#committed = committed;
  }

  hear(leaseId: string, guardName: string, positions: Positions): void {
    const key = this.#byLease ? leaseId : guardName;
    const before = this.#heard.get(key);
    if (before === undefined && this.#heard.size >= unlistedMax) this.#heard.clear();
    // What was not to be believed gives way, so that it hides nothing that is.
    this.#heard.set(key, laterOf(this.#committed.believed(before ?? {}), positions));
  }

  /** Whether a lease has acknowledged what is required, by its document or by what was heard. */
  isAcknowledged(lease: StoredLease, required: Positions): boolean {
    const heard = this.#heard.get(this.#byLease ? lease.id : lease.guardName);
    const believed = this.#committed.believed(heard ?? {});
    return haveReached(laterOf(lease.acknowledged, believed), required);
  }

  /** Forgets leases that a list no longer shows. */
  keep(leases: readonly StoredLease[]): void {
    const present = new Set(leases.map((lease) => (this.#byLease ? lease.id : lease.guardName)));
    for (const key of this.#heard.keys()) if (!present.has(key)) this.#heard.delete(key);
  }
}
