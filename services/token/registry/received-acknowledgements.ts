import { haveReached, laterOf, type Positions } from '@silo/guard/core/position.ts';
import type { Committed } from './committed-positions.ts';
import type { StoredLease } from './messages.ts';

/** Leases that are remembered before a list has shown them, at most. */
const unlistedMax = 10_000;
/** Claims of one lease that are remembered until the source has committed as much, at most. */
const unconfirmedMax = 4;

/** What one lease acknowledged: the part that is believed, and the latest claims beyond it. */
type Heard = { believed: Positions; unconfirmed: readonly Positions[] };

/**
 * The acknowledgements that this replica received, by lease. A message may arrive before the
 * replica knows that the source has committed as much, and after a newer one: each claim counts
 * from when it is known to be in the log.
 */
export class HeardAcknowledgements {
  readonly #byLease: boolean;
  readonly #committed: Committed;
  readonly #heard = new Map<string, Heard>();

  /** `byLease` false: by the guard's name (control runs). */
  constructor(byLease: boolean, committed: Committed) {
    this.#byLease = byLease;
    this.#committed = committed;
  }

  hear(leaseId: string, guardName: string, positions: Positions): void {
    const key = this.#byLease ? leaseId : guardName;
    const before = this.#heard.get(key);
    if (before === undefined && this.#heard.size >= unlistedMax) this.#heard.clear();
    const claims = [...(before?.unconfirmed ?? []), positions];
    this.#heard.set(key, {
      believed: this.#believed(before?.believed ?? {}, claims),
      unconfirmed: claims
        .filter((claim) => this.#committed.beyond(claim).length > 0)
        .slice(-unconfirmedMax),
    });
  }

  #believed(known: Positions, claims: readonly Positions[]): Positions {
    let believed = this.#committed.believed(known);
    for (const claim of claims) believed = laterOf(believed, this.#committed.believed(claim));
    return believed;
  }

  /** Whether a lease has acknowledged what is required, by its document or by what was heard. */
  isAcknowledged(lease: StoredLease, required: Positions): boolean {
    const heard = this.#heard.get(this.#byLease ? lease.id : lease.guardName);
    const believed = this.#believed(heard?.believed ?? {}, heard?.unconfirmed ?? []);
    return haveReached(laterOf(lease.acknowledged, believed), required);
  }

  /** Forgets leases that a list no longer shows. */
  keep(leases: readonly StoredLease[]): void {
    const present = new Set(leases.map((lease) => (this.#byLease ? lease.id : lease.guardName)));
    for (const key of this.#heard.keys()) if (!present.has(key)) this.#heard.delete(key);
  }
}
