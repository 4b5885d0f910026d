import type { Clock } from '@silo/runtime/clock.ts';
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

  /** Returns at once. What cannot be noted is forgotten: the next use comes a minute later. */
  note({ accountId, keyId }: { accountId: string; keyId: string }): void {
    const nowMs = this.#clock.monotonicMs();
    const before = this.#noted.get(keyId);
    if (before !== undefined && nowMs - before < intervalMs) return;
    this.#noted.delete(keyId);
    this.#noted.set(keyId, nowMs);
    if (this.#noted.size > keysMax) {
      for (const oldest of this.#noted.keys()) {
        this.#noted.delete(oldest);
        break;
      }
    }
    const now = this.#clock.now();
    const unlessSince = new Date(now.getTime() - intervalMs);
    this.#keys.noteUse(accountId, keyId, now, unlessSince).catch(() => {}); // nothing rests on it
  }
}
