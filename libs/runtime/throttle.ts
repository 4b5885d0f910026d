import { forgetOldest } from './forget-oldest.ts';

/**
 * Admits each key at most once per interval. Holds at most `keysMax` keys: above that, the key that
 * was admitted longest ago is forgotten, and may be admitted again before its interval ends.
 */
export class Throttle {
  readonly #intervalMs: number;
  readonly #keysMax: number;
  /** The last admission of each key, the oldest first. */
  readonly #admittedMs = new Map<string, number>();

  constructor({ intervalMs, keysMax }: { intervalMs: number; keysMax: number }) {
    this.#intervalMs = intervalMs;
    this.#keysMax = keysMax;
  }

  /** Whether the key is admitted now, at this time of a monotonic clock. */
  admits(key: string, nowMs: number): boolean {
    const before = this.#admittedMs.get(key);
    if (before !== undefined && nowMs - before < this.#intervalMs) return false;
    this.#admittedMs.delete(key);
    this.#admittedMs.set(key, nowMs);
    forgetOldest(this.#admittedMs, this.#keysMax);
    return true;
  }

  /** Admits the key the next time, regardless of the interval. */
  reset(key: string): void {
    this.#admittedMs.delete(key);
  }
}
