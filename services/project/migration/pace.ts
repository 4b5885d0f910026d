import type { Clock } from '@silo/runtime/clock.ts';

const samplesMax = 10;
const sampleEveryMs = 500;

/** The rate at which a count grew over the last seconds. */
export class Pace {
  readonly #clock: Clock;
  readonly #samples: { ms: number; count: number }[];

  constructor(clock: Clock, count: number) {
    this.#clock = clock;
    this.#samples = [{ ms: clock.monotonicMs(), count }];
  }

  note(count: number): void {
    const ms = this.#clock.monotonicMs();
    const last = this.#samples.at(-1);
    if (last && ms - last.ms < sampleEveryMs) return;
    this.#samples.push({ ms, count });
    if (this.#samples.length > samplesMax) this.#samples.shift();
  }

  /** The rate at the current count. */
  perSecond(count: number): number {
    const [first] = this.#samples;
    const ms = first ? this.#clock.monotonicMs() - first.ms : 0;
    return ms > 0 && first ? Math.max(0, Math.round(((count - first.count) / ms) * 1_000)) : 0;
  }
}
