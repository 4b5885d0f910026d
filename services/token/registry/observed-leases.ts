import type { StoredLease } from './messages.ts';

/** A lease whose version has not changed for so long that no read lease of it is left. */
export type DeadLease = { leaseId: string; version: number };

/**
 * What this replica has seen of each lease's version. A lease is dead once its version has stood
 * still for a lease's length since it was *seen*: a read lease is counted from before the renewal that made the
 * version, hence is over by then. That it is silent is not enough: a guard may renew without
 * acknowledging.
 */
export class ObservedLeases {
  readonly #leaseMs: number;
  readonly #seen = new Map<string, { version: number; sinceMs: number; leaseMs: number }>();

  /** `leaseMs` is this replica's own; another one's may be longer. */
  constructor(leaseMs: number) {
    this.#leaseMs = leaseMs;
  }

  /** A list of all leases was read; `nowMs` by this replica's monotonic clock, after the read. */
  see(leases: readonly StoredLease[], nowMs: number): void {
    const present = new Set(leases.map(({ id }) => id));
    for (const id of this.#seen.keys()) if (!present.has(id)) this.#seen.delete(id);
    for (const { id, version, leaseMs } of leases) {
      if (this.#seen.get(id)?.version === version) continue;
      this.#seen.set(id, { version, sinceMs: nowMs, leaseMs: Math.max(leaseMs, this.#leaseMs) });
    }
  }

  /** Forgets a lease: it is being deleted, or was released. */
  forget(leaseId: string): void {
    this.#seen.delete(leaseId);
  }

  /** The leases that are dead now. */
  dead(nowMs: number): DeadLease[] {
    const dead: DeadLease[] = [];
    for (const [leaseId, { version, sinceMs, leaseMs }] of this.#seen) {
      if (nowMs - sinceMs >= leaseMs) dead.push({ leaseId, version });
    }
    return dead;
  }

  /** When the next lease is dead unless it is seen renewed, by the monotonic clock. */
  nextDeadMs(): number {
    let nextMs = Number.POSITIVE_INFINITY;
    for (const { sinceMs, leaseMs } of this.#seen.values()) {
      nextMs = Math.min(nextMs, sinceMs + leaseMs);
    }
    return nextMs;
  }
}
