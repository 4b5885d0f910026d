import type { StoredLease } from './messages.ts';

/** A lease whose version has not changed for so long that all its read leases have ended. */
export type DeadLease = { leaseId: string; version: number };

/**
 * The versions of leases as this replica has seen them. A lease is dead once its version has not
 * changed for the length of a lease since this replica *saw* it. A read lease begins before the
 * renewal that wrote the version, so it has ended by then. Silence alone does not suffice: a guard
 * may renew without acknowledging.
 */
export class ObservedLeases {
  readonly #leaseMs: number;
  readonly #seen = new Map<string, { version: number; sinceMs: number; leaseMs: number }>();

  /** `leaseMs` of this replica. Other replicas may use a longer one. */
  constructor(leaseMs: number) {
    this.#leaseMs = leaseMs;
  }

  /**
   * Takes a list of all leases. `nowMs` is the time of this replica's monotonic clock after the
   * read.
   */
  see(leases: readonly StoredLease[], nowMs: number): void {
    const present = new Set(leases.map(({ id }) => id));
    for (const id of this.#seen.keys()) if (!present.has(id)) this.#seen.delete(id);
    for (const { id, version, leaseMs } of leases) {
      if (this.#seen.get(id)?.version === version) continue;
      this.#seen.set(id, { version, sinceMs: nowMs, leaseMs: Math.max(leaseMs, this.#leaseMs) });
    }
  }

  /** Forgets a lease that is being deleted or was released. */
  forget(leaseId: string): void {
    this.#seen.delete(leaseId);
  }

  /** Returns the leases that are dead now. */
  dead(nowMs: number): DeadLease[] {
    const dead: DeadLease[] = [];
    for (const [leaseId, { version, sinceMs, leaseMs }] of this.#seen) {
      if (nowMs - sinceMs >= leaseMs) dead.push({ leaseId, version });
    }
    return dead;
  }

  /**
   * Returns the time at which the next lease is dead unless it is renewed, by the monotonic clock.
   */
  nextDeadMs(): number {
    let nextMs = Number.POSITIVE_INFINITY;
    for (const { sinceMs, leaseMs } of this.#seen.values()) {
      nextMs = Math.min(nextMs, sinceMs + leaseMs);
    }
    return nextMs;
  }
}
