import { reflectionSlots } from './limits.ts';

/** A stream of server reflection that holds a slot. */
type Holder = { network: string; startMs: number; end: () => void };

/**
 * The slots of server reflection, shared fairly among addresses. If all are taken, a stream takes
 * the oldest slot of the address that holds most, provided that this address then still has at
 * least as many as the newcomer's address, or that the slot has been held for long. So one address
 * cannot deny reflection to others by holding slots open.
 */
export class ReflectionSlots {
  /** In the order in which the slots were taken. */
  readonly #holders = new Set<Holder>();

  /**
   * Takes a slot; undefined if there is none. `end` is called when another stream takes the slot.
   * The returned function gives the slot back, and may be called more than once.
   */
  take(network: string, nowMs: number, end: () => void): (() => void) | undefined {
    if (this.#holders.size >= reflectionSlots.max && !this.#free(network, nowMs)) return undefined;
    const holder = { network, startMs: nowMs, end };
    this.#holders.add(holder);
    return () => void this.#holders.delete(holder);
  }

  /** Ends a stream in favor of `network`; false if no stream has to give way. */
  #free(network: string, nowMs: number): boolean {
    const counts = new Map<string, number>();
    for (const { network } of this.#holders) counts.set(network, (counts.get(network) ?? 0) + 1);
    const most = Math.max(...counts.values());
    const oldest = [...this.#holders].find((holder) => counts.get(holder.network) === most);
    if (oldest === undefined) return false;
    const isFair = (counts.get(network) ?? 0) + 1 < most;
    if (!isFair && nowMs - oldest.startMs < reflectionSlots.holdMs) return false;
    this.#holders.delete(oldest);
    oldest.end();
    return true;
  }
}
