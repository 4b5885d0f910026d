import type { Clock } from '@silo/runtime/clock.ts';
import type { Db } from 'mongodb';
import { bounded, reading } from './read.ts';

/** How far both clocks may go on without being compared: they drift apart, and primaries follow one another. */
const readEveryMs = 5_000;

/**
 * The wall clock of the primary, by this process's monotonic clock since it was last read: times that the
 * server has written are compared with that, as the wall clocks of two machines may differ by anything.
 * Exact to half of a round trip.
 */
export class ServerClock {
  readonly #db: Db;
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  /** What is added to the monotonic clock. */
  #offsetMs = 0;
  #readMs = 0;
  #isReading = false;

  private constructor(db: Db, clock: Pick<Clock, 'monotonicMs'>) {
    this.#db = db;
    this.#clock = clock;
  }

  /** Rejects where the server does not answer. */
  static async read(
    db: Db,
    clock: Pick<Clock, 'monotonicMs'>,
    signal: AbortSignal,
  ): Promise<ServerClock> {
    const server = new ServerClock(db, clock);
    await reading(server.#read(), signal);
    return server;
  }

  /** In milliseconds since the epoch. Where it was read long ago, it is read again meanwhile. */
  nowMs(): number {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#readMs > readEveryMs) {
      this.#read().catch(() => {}); // what was read before holds, and the next call tries again
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
