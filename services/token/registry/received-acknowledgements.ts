import { haveReached, laterOf, type Positions } from '@silo/guard/core/position.ts';
import type { Committed } from './committed-positions.ts';
import type { StoredLease } from './messages.ts';

/** Limit of the leases that are remembered before a list contains them. */
const unlistedMax = 10_000;
/** Limit of the claims of one lease that are remembered until the source has committed as much. */
const unconfirmedMax = 4;

/** The acknowledgements of one lease: the accepted positions, and the latest claims beyond them. */
type Received = { accepted: Positions; unconfirmed: readonly Positions[] };

/**
 * The acknowledgements that this replica received, by lease. A message may arrive before the
 * replica knows that the source has committed as much, and after a newer message. Each claim counts
 * as soon as its position is known to be in the log.
 */
export class ReceivedAcknowledgements {
  readonly #byLease: boolean;
  readonly #committed: Committed;
  readonly #received = new Map<string, Received>();

  /**
   * If `byLease` is false, acknowledgements count for all leases of a guard's name (control runs).
   */
  constructor(byLease: boolean, committed: Committed) {
    this.#byLease = byLease;
    this.#committed = committed;
  }

  add(leaseId: string, guardName: string, positions: Positions): void {
    const key = this.#byLease ? leaseId : guardName;
    const before = this.#received.get(key);
    if (before === undefined && this.#received.size >= unlistedMax) this.#received.clear();
    const claims = [...(before?.unconfirmed ?? []), positions];
    this.#received.set(key, {
      accepted: this.#accepted(before?.accepted ?? {}, claims),
      unconfirmed: claims
        .filter((claim) => this.#committed.beyond(claim).length > 0)
        .slice(-unconfirmedMax),
    });
  }

  #accepted(known: Positions, claims: readonly Positions[]): Positions {
    let accepted = this.#committed.accepted(known);
    for (const claim of claims) accepted = laterOf(accepted, this.#committed.accepted(claim));
    return accepted;
  }

  /**
   * Whether a lease has acknowledged the requirement, in its document or by a received
   * acknowledgement.
   */
  isAcknowledged(lease: StoredLease, required: Positions): boolean {
    const received = this.#received.get(this.#byLease ? lease.id : lease.guardName);
    const accepted = this.#accepted(received?.accepted ?? {}, received?.unconfirmed ?? []);
    return haveReached(laterOf(lease.acknowledged, accepted), required);
  }

  /** Forgets the leases that a list does not contain any more. */
  keep(leases: readonly StoredLease[]): void {
    const present = new Set(leases.map((lease) => (this.#byLease ? lease.id : lease.guardName)));
    for (const key of this.#received.keys()) if (!present.has(key)) this.#received.delete(key);
  }
}
