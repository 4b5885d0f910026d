import type { Positions } from '@silo/guard/core/position.ts';
import type { BarrierReport, StoredLease } from './messages.ts';
import type { ReceivedAcknowledgements } from './received-acknowledgements.ts';

/**
 * One call of AwaitBarrier: first the requirement is durable, then the leases are listed, then
 * those without an acknowledgement are waited for, at most L. A lease that is acquired or renewed
 * after the requirement reads it and gets no read lease without it.
 */
export class Barrier {
  readonly positions: Positions;
  readonly #startedMs: number;
  /** When the requirement was known to be durable, by the monotonic clock. */
  #durableMs: number | undefined;
  #silent: Map<string, StoredLease> | undefined;
  #guards = 0;
  #acknowledged = 0;
  #leaseMs: number;

  /** `leaseMs` is this replica's own; another one's may be longer. */
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

  /** A list requested after the requirement was durable. */
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
      // Gone: released by its guard, or dead; either way no read lease is left.
      if (lease === undefined) silent.delete(id);
      else silent.set(id, lease);
    }
  }

  /** Looks whether this lease has acknowledged by now; without an id at all of them. */
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

  /** The report once nobody is waited for any more. */
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

  /** When every read lease that lacks the change is over, by the monotonic clock. */
  get deadlineMs(): number {
    return (this.#durableMs ?? Number.POSITIVE_INFINITY) + this.#leaseMs;
  }
}
