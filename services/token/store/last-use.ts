import type { UsedKey } from '@silo/protos/gen/silo/token/internal/v1/registry_service.ts';
import type { Clock } from '@silo/runtime/clock.ts';
import { forgetOldest } from '@silo/runtime/forget-oldest.ts';
import { Throttle } from '@silo/runtime/throttle.ts';
import type { KeyStore } from './keys.ts';

const intervalMs = 60_000;
const keysMax = 10_000;

/** Stores the use of keys in the background, each key at most once a minute. */
export class LastUse {
  readonly #keys: KeyStore;
  readonly #clock: Clock;
  readonly #throttle = new Throttle({ intervalMs, keysMax });
  /** The uses that the next write stores, by key. */
  readonly #due = new Map<string, UsedKey>();
  #isWriting = false;

  constructor(keys: KeyStore, clock: Clock) {
    this.#keys = keys;
    this.#clock = clock;
  }

  /**
   * Returns at once. Writes all uses in one command; uses that arrive during a write are in the
   * next one, which takes the latest 10,000 keys. A failed write is not repeated: the next use is
   * stored a minute later. `used` has each key at most once, and no more keys than ReportKeyUse
   * accepts.
   */
  note(used: readonly UsedKey[]): void {
    const nowMs = this.#clock.monotonicMs();
    for (const use of used) {
      if (this.#throttle.admits(use.keyId, nowMs)) this.#due.set(use.keyId, use);
    }
    forgetOldest(this.#due, keysMax);
    if (!this.#isWriting) void this.#writeAll();
  }

  async #writeAll(): Promise<void> {
    this.#isWriting = true;
    while (this.#due.size > 0) {
      const due = [...this.#due.values()];
      this.#due.clear();
      const now = this.#clock.now();
      const unlessSince = new Date(now.getTime() - intervalMs);
      await this.#keys.noteUses(due, now, unlessSince).catch(() => {}); // only for display
    }
    this.#isWriting = false;
  }
}
