import type { UsedKey } from '@silo/protos/gen/silo/token/internal/v1/registry_service.ts';
import { Alarm } from '@silo/runtime/alarm.ts';
import { Throttle } from '@silo/runtime/throttle.ts';

/** The precision of `last_use_time`. */
const intervalMs = 60_000;
/** Uses are reported in one batch, this long after the first. */
const reportAfterMs = 2_000;
const batchMax = 1_000;
const keysMax = 10_000;

type Key = Pick<UsedKey, 'keyId' | 'accountId'>;

/** Reports the use of keys in the background, each key at most once a minute. */
export class KeyUse implements Disposable {
  readonly #report: (keys: UsedKey[]) => Promise<void>;
  readonly #alarm = new Alarm(() => this.flush());
  readonly #throttle = new Throttle({ intervalMs, keysMax });
  #waiting: Key[] = [];

  constructor(report: (keys: UsedKey[]) => Promise<void>) {
    this.#report = report;
  }

  note({ keyId, accountId }: Key, nowMs: number): void {
    if (!this.#throttle.admits(keyId, nowMs)) return;
    if (this.#waiting.length >= batchMax) return;
    if (this.#waiting.length === 0) this.#alarm.setFor(nowMs + reportAfterMs);
    this.#waiting.push({ keyId, accountId });
  }

  /** Reports the pending uses. If that fails, the next use of the key is reported. */
  async flush(): Promise<void> {
    const keys = this.#waiting;
    this.#waiting = [];
    if (keys.length === 0) return;
    await this.#report(keys).catch(() => {
      for (const { keyId } of keys) this.#throttle.reset(keyId);
    });
  }

  [Symbol.dispose](): void {
    this.#alarm[Symbol.dispose]();
  }
}
