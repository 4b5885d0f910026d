import { untraced } from './tracing.ts';

// Node runs longer timers immediately.
const timerMaxMs = 2 ** 31 - 1;

/** A single timer that can be set again to another time. */
export class Alarm implements Disposable {
  readonly #ring: () => void;
  readonly #nowMs: () => number;
  #timer: NodeJS.Timeout | undefined;
  #atMs = Number.POSITIVE_INFINITY;

  /** `ring` is called at the set time; `nowMs` is the monotonic clock. */
  constructor(ring: () => void, nowMs: () => number = () => performance.now()) {
    this.#ring = ring;
    this.#nowMs = nowMs;
  }

  /** Rings at this time of the monotonic clock or shortly after, never before; Infinity: never. */
  setFor(atMs: number): void {
    if (atMs === this.#atMs) return;
    clearTimeout(this.#timer);
    this.#atMs = atMs;
    if (atMs === Number.POSITIVE_INFINITY) return;
    const inMs = Math.min(Math.max(0, atMs - this.#nowMs()), timerMaxMs);
    this.#timer = setTimeout(() => {
      this.#atMs = Number.POSITIVE_INFINITY;
      // The work is not only for the call that has set the alarm, so it runs outside of that call's
      // trace.
      untraced(this.#ring);
    }, Math.ceil(inMs));
  }

  [Symbol.dispose](): void {
    this.setFor(Number.POSITIVE_INFINITY);
  }
}
