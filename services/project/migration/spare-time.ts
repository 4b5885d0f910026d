import { type Clock, type Sleep, systemSleep } from '@silo/runtime/clock.ts';

/** For how long after its last change a project counts as in use. */
const inUseMs = 2_000;
/** Twice the work: it takes a third of the time. */
const pauseOfWork = 2;
/** Changes wait behind the scan meanwhile. */
const pauseMsMax = 1_000;
/** The log of the source does not go back for ever: a copy that is behind by more does not pause. */
const lagMsMax = 30_000;

/**
 * Leaves most of the time to captures: while a project is in use, the scan and the comparison of its
 * copy each pause after their work. Both would otherwise take all that a server has.
 */
export class SpareTime {
  readonly #clock: Clock;
  readonly #sleep: Sleep;
  #usedMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock, sleep: Sleep = systemSleep) {
    this.#clock = clock;
    this.#sleep = sleep;
  }

  /** Notes that events of the project have changed. */
  noteUse(): void {
    this.#usedMs = this.#clock.monotonicMs();
  }

  /**
   * Pauses after work that began at that time, by the clock's monotonic time. `lagMs`: by how much the
   * copy is behind, where changes wait for this work.
   */
  async pauseAfter(
    { beganMs, lagMs = 0 }: { beganMs: number; lagMs?: number },
    signal: AbortSignal,
  ): Promise<void> {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#usedMs > inUseMs || lagMs > lagMsMax) return;
    await this.#sleep(Math.min(pauseMsMax, pauseOfWork * (nowMs - beganMs)), signal);
  }
}
