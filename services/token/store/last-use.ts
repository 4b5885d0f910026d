import type { UsedKey } from '@silo/protos/gen/silo/token/internal/v1/registry_service.ts';
import type { Clock } from '@silo/runtime/clock.ts';
import { Throttle } from '@silo/runtime/throttle.ts';
import type { KeyStore } from './keys.ts';

const intervalMs = 60_000;
const keysMax = 10_000;

/** Stores the use of keys in the background, each key at most once a minute. */
export class LastUse {
  readonly #keys: KeyStore;
  readonly #clock: Clock;
  readonly #throttle = new Throttle({ intervalMs, keysMax });

  constructor(keys: KeyStore, clock: Clock) {
    this.#keys = keys;
    this.#clock = clock;
  }

  /**
   * Returns at once and writes all uses in one command. A failed write is not repeated: the next use
   * is stored a minute later. Each key at most once, and no more keys than ReportKeyUse accepts.
   */
  note(used: readonly UsedKey[]): void {
    const nowMs = this.#clock.monotonicMs();
    const due = used.filter(({ keyId }) => this.#throttle.admits(keyId, nowMs));
    if (due.length === 0) return;
    const now = this.#clock.now();
    const unlessSince = new Date(now.getTime() - intervalMs);
    this.#keys.noteUses(due, now, unlessSince).catch(() => {}); // only for display
  }
}
