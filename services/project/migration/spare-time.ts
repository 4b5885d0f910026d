import { type Clock, type Sleep, systemSleep } from '@silo/runtime/clock.ts';

/** Time after its last change for which a project counts as in use. */
const inUseMs = 2_000;
/** Pauses take twice the time of the work, so that the work takes a third of all time. */
const pauseOfWork = 2;
/** Changes wait behind the scan during a pause. */
const pauseMsMax = 1_000;
/** The oplog of the source is limited: a copy with a larger lag does not pause. */
const lagMsMax = 30_000;

/**
 * Leaves most of a server's capacity to captures: while a project is in use, the scan and the
 * comparison of its copy each pause after their work.
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
   * Pauses after work that began at `beganMs` (monotonic time). `lagMs` is the lag of the copy, if
   * changes wait for this work.
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
