import type { KeyObject } from 'node:crypto';
import { type MessageKey, messageKey } from '@silo/events/authentication.ts';
import type { BroadcastKey } from '@silo/protos/gen/silo/token/internal/v1/registry_service.ts';
import { type Fence, fenceFrom, isOver, type Reading } from './core/fence.ts';
import { readClocks } from './read-clocks.ts';
import { fromDuration } from './wire.ts';

type Held = { key: MessageKey; bytes: Uint8Array; fence: Fence; isSigning: boolean };

/** The broadcast keys from the registry's last answer, each until it expires. */
export class BroadcastKeys {
  readonly #now: () => Reading;
  #held: readonly Held[] = [];
  #sentMs = Number.NEGATIVE_INFINITY;

  constructor(now: () => Reading = readClocks) {
    this.#now = now;
  }

  /**
   * Takes the keys from the answer to a call that was sent at `sent`; the answer to a later call is
   * kept.
   */
  replace(keys: readonly BroadcastKey[], sent: Reading): void {
    if (sent.monotonicMs < this.#sentMs) return;
    this.#sentMs = sent.monotonicMs;
    const before = this.#held;
    this.#held = keys.map(({ id, secret, validFor, isSigning }) => {
      const known = before.find(({ key, bytes }) => key.id === id && secret.equals(bytes));
      const key = known?.key ?? messageKey(id, secret);
      return { key, bytes: secret, fence: fenceFrom(sent, fromDuration(validFor)), isSigning };
    });
  }

  /** The secret of a key that is usable now. */
  find(id: string): KeyObject | undefined {
    return this.#usable(({ key }) => key.id === id)?.secret;
  }

  /** The key to sign event batches with; undefined if there is none now. */
  signing(): MessageKey | undefined {
    return this.#usable(({ isSigning }) => isSigning);
  }

  #usable(isWanted: (held: Held) => boolean): MessageKey | undefined {
    const now = this.#now();
    return this.#held.find((held) => isWanted(held) && !isOver(held.fence, now, true))?.key;
  }
}
