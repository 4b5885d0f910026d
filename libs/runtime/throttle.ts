import { forgetOldest } from './forget-oldest.ts';

/**
 * Admits each key at most once per interval. Holds at most `keysMax` keys; one above that, the key
 * that was admitted the longest ago is admitted again before its interval ends.
 */
export class Throttle {
  readonly #intervalMs: number;
  readonly #keysMax: number;
  /** When each key was last admitted, the longest ago first. */
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

  /** Admits the key the next time, whenever that is. */
  reset(key: string): void {
    this.#admittedMs.delete(key);
  }
}
