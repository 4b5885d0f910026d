import { haveReached, laterOf, type Positions } from '../core/position.ts';
import type { StoredLease } from './messages.ts';

/** Acknowledgements heard for leases that no list has shown yet, at most. */
const unlistedMax = 10_000;

/** What this replica was told that guards have acknowledged, by lease. */
export class HeardAcknowledgements {
  readonly #byLease: boolean;
  readonly #heard = new Map<string, Positions>();

  /** `byLease` false: by the guard's name (control runs). */
  constructor(byLease: boolean) {
    this.#byLease = byLease;
  }

  hear(leaseId: string, guardName: string, positions: Positions): void {
    const key = this.#byLease ? leaseId : guardName;
    const before = this.#heard.get(key);
    if (before === undefined && this.#heard.size >= unlistedMax) this.#heard.clear();
    this.#heard.set(key, laterOf(before ?? {}, positions));
  }

  /** Whether a lease has acknowledged what is required, by its document or by what was heard. */
  isAcknowledged(lease: StoredLease, required: Positions): boolean {
    const heard = this.#heard.get(this.#byLease ? lease.id : lease.guardName);
    return haveReached(laterOf(lease.acknowledged, heard ?? {}), required);
  }

  /** Forgets leases that a list no longer shows. */
  keep(leases: readonly StoredLease[]): void {
    const present = new Set(leases.map((lease) => (this.#byLease ? lease.id : lease.guardName)));
    for (const key of this.#heard.keys()) if (!present.has(key)) this.#heard.delete(key);
  }
}
