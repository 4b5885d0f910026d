/** For so long a consumer's attempts may fail in a row before it counts as stalled. */
const stalledAfterMs = 10_000;

/**
 * Whether something that follows a log gets on: what health and metrics say of it. It may have
 * parts, such as the logs that it follows; it is as late as the latest of them.
 */
export class Progress {
  /** Health and metrics name it so. */
  readonly consumer: string;
  readonly #monotonicMs: () => number;
  /** Since when each part has failed. */
  readonly #failingSinceMs = new Map<string, number>();

  constructor(consumer: string, monotonicMs: () => number = () => performance.now()) {
    this.consumer = consumer;
    this.#monotonicMs = monotonicMs;
  }

  /** The part got on, or had nothing to do. */
  made(part = ''): void {
    this.#failingSinceMs.delete(part);
  }

  /** An attempt of the part failed. */
  failed(part = ''): void {
    if (!this.#failingSinceMs.has(part)) this.#failingSinceMs.set(part, this.#monotonicMs());
  }

  /** Another process does the work now. */
  clear(): void {
    this.#failingSinceMs.clear();
  }

  /** For how long attempts have failed in a row; 0 where the last one did not. */
  get failingMs(): number {
    const sinceMs = Math.min(...this.#failingSinceMs.values());
    return Number.isFinite(sinceMs) ? this.#monotonicMs() - sinceMs : 0;
  }

  get isStalled(): boolean {
    return this.failingMs > stalledAfterMs;
  }
}
