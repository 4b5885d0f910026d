import type { FactName } from './facts.ts';
import { type Fence, isOver, leftOf, type Reading } from './fence.ts';

/** The right to decide one mutation on facts that were checked when the permit was taken. */
export type Permit = {
  readonly id: number;
  readonly restsOn: readonly FactName[];
  /** The read lease that the permit depends on: a permit never outlives it. */
  readLease: Fence;
  readonly own: Fence;
  /** The time until its key expires; undefined if the key does not expire. */
  readonly key: Fence | undefined;
  /**
   * False for good once the key has expired, or a wall clock shows that the permit's time is over.
   * If only the wall clock shows it, a commit may be in progress, and an acknowledgement waits for
   * it.
   */
  mayDecide: boolean;
  /**
   * An event has ended a fact on which the permit depends; acknowledgements wait for the permit's
   * end.
   */
  isEnding: boolean;
  /** Released or expired for good, whatever the clocks show later. */
  over: boolean;
};

/** The permits that are held. */
export class Permits {
  readonly #wallClockToo: boolean;
  readonly #held = new Map<number, Permit>();
  #lastId = 0;

  constructor(wallClockToo: boolean) {
    this.#wallClockToo = wallClockToo;
  }

  get size(): number {
    return this.#held.size;
  }

  /** Creates a permit, which is not held yet. */
  make(
    restsOn: readonly FactName[],
    { readLease, own, key }: Pick<Permit, 'readLease' | 'own' | 'key'>,
  ): Permit {
    const state = { mayDecide: true, isEnding: false, over: false };
    return { id: ++this.#lastId, restsOn, readLease, own, key, ...state };
  }

  hold(permit: Permit): void {
    if (!permit.over) this.#held.set(permit.id, permit);
  }

  /** Whether the holder may still decide. Expires the permit if its time is over. */
  isHeld(permit: Permit, now: Reading): boolean {
    this.#look(permit, now);
    return !permit.over && permit.mayDecide;
  }

  /**
   * The time for which a permit is still held, by the clock that leaves less, unless a later read
   * lease extends it.
   */
  remainingMs(permit: Permit, now: Reading): number {
    if (!this.isHeld(permit, now)) return 0;
    const { own, readLease, key = own } = permit;
    const left = [own, readLease, key].map((fence) => leftOf(fence, now, this.#wallClockToo));
    return Math.max(0, Math.min(...left));
  }

  end(permit: Permit): void {
    permit.over = true;
    this.#held.delete(permit.id);
  }

  expire(now: Reading): void {
    for (const permit of this.#held.values()) this.#look(permit, now);
  }

  /** Permits that depend on the ended facts. They are not extended by a later read lease. */
  ending(ends: (name: FactName) => boolean): Permit[] {
    const found: Permit[] = [];
    for (const permit of this.#held.values()) {
      if (!permit.restsOn.some(ends)) continue;
      permit.isEnding = true;
      found.push(permit);
    }
    return found;
  }

  /**
   * A new read lease began: extends the permits whose facts still hold, as if they were taken now.
   * A permit that has ended stays ended. `endingToo` is for control runs.
   */
  carryInto(readLease: Fence, now: Reading, endingToo: boolean): void {
    this.expire(now);
    for (const permit of this.#held.values()) {
      if (permit.mayDecide && (!permit.isEnding || endingToo)) permit.readLease = readLease;
    }
  }

  /** When the next permit expires, by the monotonic clock. */
  nextEndMs(): number {
    let nextMs = Number.POSITIVE_INFINITY;
    for (const { own, readLease } of this.#held.values()) {
      const ownEndMs = own.fromMonotonicMs + own.lengthMs;
      nextMs = Math.min(nextMs, ownEndMs, readLease.fromMonotonicMs + readLease.lengthMs);
    }
    return nextMs;
  }

  /** Updates a permit by the present clock readings. */
  #look(permit: Permit, now: Reading): void {
    if (permit.over) return;
    const { readLease, own, key = own } = permit;
    const isPast = (wallClockToo: boolean) => (fence: Fence) => isOver(fence, now, wallClockToo);
    if ([readLease, own].some(isPast(false))) this.end(permit);
    if ([readLease, own, key].some(isPast(this.#wallClockToo))) permit.mayDecide = false;
  }
}
