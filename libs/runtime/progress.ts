/** A consumer counts as stalled once its attempts have failed in a row for this long. */
const stalledAfterMs = 10_000;

/**
 * Whether a consumer of a log makes progress, for health and metrics. It may have parts, such as
 * the logs that it follows; its delay is that of the slowest part.
 */
export class Progress {
  /** The consumer's name in health and metrics. */
  readonly consumer: string;
  readonly #monotonicMs: () => number;
  /** The last event of each part that it has handled. */
  readonly #positions = new Map<string, number>();
  /** The start of the current failures of each part. */
  readonly #failingSinceMs = new Map<string, number>();

  constructor(consumer: string, monotonicMs: () => number = () => performance.now()) {
    this.consumer = consumer;
    this.#monotonicMs = monotonicMs;
  }

  /** Call this when the part made progress, or had nothing to do. */
  made(part = ''): void {
    this.#failingSinceMs.delete(part);
  }

  /** Call this when an attempt of the part failed. */
  failed(part = ''): void {
    if (!this.#failingSinceMs.has(part)) this.#failingSinceMs.set(part, this.#monotonicMs());
  }

  /** Call this when the part has handled its events up to this sequence. */
  reached(part: string, sequence: number): void {
    this.#positions.set(part, sequence);
  }

  /** Call this when another process does the work. */
  clear(): void {
    this.#failingSinceMs.clear();
    this.#positions.clear();
  }

  /**
   * The positions that this process has reached in each part; empty while another process does the
   * work.
   */
  get positions(): ReadonlyMap<string, number> {
    return this.#positions;
  }

  /** How long attempts have failed in a row; 0 if the last attempt succeeded. */
  get failingMs(): number {
    const sinceMs = Math.min(...this.#failingSinceMs.values());
    return Number.isFinite(sinceMs) ? this.#monotonicMs() - sinceMs : 0;
  }

  get isStalled(): boolean {
    return this.failingMs > stalledAfterMs;
  }
}
