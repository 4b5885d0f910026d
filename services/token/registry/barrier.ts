import type { Positions } from '@silo/guard/core/position.ts';
import type { BarrierReport, StoredLease } from './messages.ts';
import type { ReceivedAcknowledgements } from './received-acknowledgements.ts';

/**
 * One call of AwaitBarrier. It makes the requirement durable, then lists the leases, then waits for
 * those without an acknowledgement, at most L. A lease that is acquired or renewed after the
 * requirement is durable reads it, and gets no read lease below it.
 */
export class Barrier {
  readonly positions: Positions;
  readonly #startedMs: number;
  /** Time at which the requirement was known to be durable, by the monotonic clock. */
  #durableMs: number | undefined;
  #silent: Map<string, StoredLease> | undefined;
  #guards = 0;
  #acknowledged = 0;
  #leaseMs: number;

  /** `leaseMs` of this replica. Other replicas may use a longer one. */
  constructor(positions: Positions, nowMs: number, leaseMs: number) {
    this.positions = positions;
    this.#startedMs = nowMs;
    this.#leaseMs = leaseMs;
  }

  durable(nowMs: number): void {
    this.#durableMs ??= nowMs;
  }

  get isListed(): boolean {
    return this.#silent !== undefined;
  }

  /** Takes a list that was requested after the requirement was durable. */
  listed(leases: readonly StoredLease[], received: ReceivedAcknowledgements): void {
    for (const lease of leases) this.#leaseMs = Math.max(this.#leaseMs, lease.leaseMs);
    if (this.#silent === undefined) {
      this.#guards = leases.length;
      this.#silent = new Map(leases.map((lease) => [lease.id, lease]));
    } else this.#listedAgain(this.#silent, leases);
    this.look(received);
  }

  #listedAgain(silent: Map<string, StoredLease>, leases: readonly StoredLease[]): void {
    const present = new Map(leases.map((lease) => [lease.id, lease]));
    for (const id of silent.keys()) {
      const lease = present.get(id);
      // The lease was released by its guard, or was dead. In both cases it has no read lease any
      // more.
      if (lease === undefined) silent.delete(id);
      else silent.set(id, lease);
    }
  }

  /** Checks whether this lease has acknowledged by now; without an id, checks all leases. */
  look(received: ReceivedAcknowledgements, leaseId?: string): void {
    const silent = this.#silent;
    if (silent === undefined) return;
    const only = leaseId === undefined ? undefined : silent.get(leaseId);
    if (leaseId !== undefined && only === undefined) return;
    for (const lease of only === undefined ? silent.values() : [only]) {
      if (!received.isAcknowledged(lease, this.positions)) continue;
      silent.delete(lease.id);
      this.#acknowledged++;
    }
  }

  /** Returns the report when the barrier waits for no lease any more. */
  finish(nowMs: number): BarrierReport | undefined {
    const silent = this.#silent;
    if (silent === undefined) return undefined;
    if (silent.size > 0 && nowMs < this.deadlineMs) return undefined;
    return {
      positions: this.positions,
      guards: this.#guards,
      acknowledged: this.#acknowledged,
      expired: this.#guards - this.#acknowledged,
      elapsedMs: nowMs - this.#startedMs,
    };
  }

  /** Time at which every read lease without the change has ended, by the monotonic clock. */
  get deadlineMs(): number {
    return (this.#durableMs ?? Number.POSITIVE_INFINITY) + this.#leaseMs;
  }
}
