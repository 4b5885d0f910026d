import type { Clock } from '@silo/runtime/clock.ts';
import type { Db } from 'mongodb';
import { bounded, reading } from './read.ts';

/**
 * Maximum interval between comparisons of both clocks, because they drift, and the primary may
 * change.
 */
const readEveryMs = 5_000;

/**
 * The wall clock of the primary, extrapolated by this process's monotonic clock since the last
 * reading. Times that the server has written are compared with it, because the wall clocks of two
 * machines may differ by any amount. Accurate to half a round trip.
 */
export class ServerClock {
  readonly #db: Db;
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  /** Offset to the monotonic clock. */
  #offsetMs = 0;
  #readMs = 0;
  #isReading = false;

  private constructor(db: Db, clock: Pick<Clock, 'monotonicMs'>) {
    this.#db = db;
    this.#clock = clock;
  }

  /** Rejects if the server does not answer. */
  static async read(
    db: Db,
    clock: Pick<Clock, 'monotonicMs'>,
    signal: AbortSignal,
  ): Promise<ServerClock> {
    const server = new ServerClock(db, clock);
    await reading(server.#read(), signal);
    return server;
  }

  /**
   * Milliseconds since the epoch. If the last reading is old, a new one begins in the background.
   */
  nowMs(): number {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#readMs > readEveryMs) {
      this.#read().catch(() => {}); // the earlier reading stays valid, and the next call tries again
    }
    return nowMs + this.#offsetMs;
  }

  async #read(): Promise<void> {
    if (this.#isReading) return;
    this.#isReading = true;
    try {
      const sentMs = this.#clock.monotonicMs();
      const { localTime } = await this.#db.command({ hello: 1, ...bounded });
      this.#readMs = this.#clock.monotonicMs();
      this.#offsetMs = localTime.getTime() - (sentMs + this.#readMs) / 2;
    } finally {
      this.#isReading = false;
    }
  }
}
