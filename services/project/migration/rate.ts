import { type Clock, type Sleep, systemSleep } from '@silo/runtime/clock.ts';

/** Maximum time until a change of the rate takes effect. */
const sleepMaxMs = 500;

/** Limits bytes per second: a caller waits after it has spent more. */
export class Rate {
  readonly #clock: Clock;
  readonly #sleep: Sleep;
  #bytesPerSecond = 0;
  #owed = 0;
  #sinceMs: number;

  constructor(clock: Clock, sleep: Sleep = systemSleep) {
    this.#clock = clock;
    this.#sleep = sleep;
    this.#sinceMs = clock.monotonicMs();
  }

  /** 0: no limit. */
  set(bytesPerSecond: number): void {
    this.#settle();
    this.#bytesPerSecond = bytesPerSecond;
    if (bytesPerSecond === 0) this.#owed = 0;
  }

  /** Resolves when these bytes, and all before, are within the rate. */
  async spend(bytes: number, signal: AbortSignal): Promise<void> {
    if (this.#bytesPerSecond === 0) return;
    this.#settle();
    this.#owed += bytes;
    while (this.#owed > 0) {
      const dueMs = (this.#owed / this.#bytesPerSecond) * 1_000;
      await this.#sleep(Math.min(sleepMaxMs, Math.ceil(dueMs)), signal);
      this.#settle();
    }
  }

  #settle(): void {
    const nowMs = this.#clock.monotonicMs();
    const earned = ((nowMs - this.#sinceMs) / 1_000) * this.#bytesPerSecond;
    this.#owed = Math.max(0, this.#owed - earned);
    this.#sinceMs = nowMs;
  }
}
