import type { UsedKey } from '@silo/protos/gen/silo/token/internal/v1/registry_service.ts';
import type { Clock } from '@silo/runtime/clock.ts';
import { forgetOldest } from '@silo/runtime/forget-oldest.ts';
import type { KeyStore } from './keys.ts';

const intervalMs = 60_000;
const keysMax = 10_000;

/** Notes the use of keys, at most once a minute each, while nobody waits for it. */
export class LastUse {
  readonly #keys: KeyStore;
  readonly #clock: Clock;
  /** When each key's use was noted last, the longest ago first. */
  readonly #noted = new Map<string, number>();

  constructor(keys: KeyStore, clock: Clock) {
    this.#keys = keys;
    this.#clock = clock;
  }

  /**
   * Returns at once; writes what is to be noted in one command. What cannot be noted is forgotten:
   * the next use comes a minute later. Each key once, and no more than ReportKeyUse takes.
   */
  note(used: readonly UsedKey[]): void {
    const nowMs = this.#clock.monotonicMs();
    const due = used.filter(({ keyId }) => {
      const before = this.#noted.get(keyId);
      return before === undefined || nowMs - before >= intervalMs;
    });
    if (due.length === 0) return;
    for (const { keyId } of due) {
      this.#noted.delete(keyId);
      this.#noted.set(keyId, nowMs);
    }
    forgetOldest(this.#noted, keysMax);
    const now = this.#clock.now();
    const unlessSince = new Date(now.getTime() - intervalMs);
    this.#keys.noteUses(due, now, unlessSince).catch(() => {}); // nothing rests on it
  }
}
