import type { FactName } from './facts.ts';
import { type Fence, isOver, leftOf, type Reading } from './fence.ts';

/** The right to decide one mutation on facts that were looked at when it was taken. */
export type Permit = {
  readonly id: number;
  readonly restsOn: readonly FactName[];
  /** The read lease that it is held under: a permit never outlives it. */
  readLease: Fence;
  readonly own: Fence;
  /** Until its key expires; undefined: never. */
  readonly key: Fence | undefined;
  /**
   * False for good once its key has expired, or a wall clock says that its time is over. Where only that says
   * so, a commit may be under way: an acknowledgement waits for it.
   */
  mayDecide: boolean;
  /** An event has ended a fact that it depends on: acknowledgements wait for its end. */
  isEnding: boolean;
  /** Released or expired: for good, whatever the clocks say later. */
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

  /** A new permit, not yet held. */
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

  /** For how long a permit is held, by the worse of both clocks, unless its read lease is followed by another. */
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

  /** The permits that rest on something that this ends: they are carried into no further read lease. */
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
   * There is a new read lease: a permit whose facts still hold is as good as one that is taken now. One
   * that is over stays so. `endingToo` is for control runs.
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

  /** Notes what the clocks say of a permit. */
  #look(permit: Permit, now: Reading): void {
    if (permit.over) return;
    const { readLease, own, key = own } = permit;
    const isPast = (wallClockToo: boolean) => (fence: Fence) => isOver(fence, now, wallClockToo);
    if ([readLease, own].some(isPast(false))) this.end(permit);
    if ([readLease, own, key].some(isPast(this.#wallClockToo))) permit.mayDecide = false;
  }
}
