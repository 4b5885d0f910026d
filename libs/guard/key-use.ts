import type { UsedKey } from '@silo/protos/gen/silo/token/internal/v1/registry_service.ts';
import { Alarm } from '@silo/runtime/alarm.ts';

/** `last_use_time` is no more exact than that. */
const noteMs = 60_000;
/** Uses are told together, this long after the first. */
const tellMs = 2_000;
const batchMax = 1_000;
const keysMax = 10_000;

type Key = Pick<UsedKey, 'keyId' | 'accountId'>;

/** Tells of keys that were used, each at most once a minute, while nobody waits for it. */
export class KeyUse implements Disposable {
  readonly #tell: (keys: UsedKey[]) => Promise<void>;
  readonly #alarm = new Alarm(() => this.flush());
  /** When each key was noted last, the longest ago first. */
  readonly #noted = new Map<string, number>();
  #waiting: Key[] = [];

  constructor(tell: (keys: UsedKey[]) => Promise<void>) {
    this.#tell = tell;
  }

  note({ keyId, accountId }: Key, nowMs: number): void {
    const before = this.#noted.get(keyId);
    if (before !== undefined && nowMs - before < noteMs) return;
    this.#noted.delete(keyId);
    this.#noted.set(keyId, nowMs);
    if (this.#noted.size > keysMax) {
      for (const oldest of this.#noted.keys()) {
        this.#noted.delete(oldest);
        break;
      }
    }
    if (this.#waiting.length >= batchMax) return;
    if (this.#waiting.length === 0) this.#alarm.setFor(nowMs + tellMs);
    this.#waiting.push({ keyId, accountId });
  }

  /** Tells what is noted by now. What cannot be told is told with the key's next use. */
  async flush(): Promise<void> {
    const keys = this.#waiting;
    this.#waiting = [];
    if (keys.length === 0) return;
    await this.#tell(keys).catch(() => {
      for (const { keyId } of keys) this.#noted.delete(keyId);
    });
  }

  [Symbol.dispose](): void {
    this.#alarm[Symbol.dispose]();
  }
}
