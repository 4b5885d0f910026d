import type { Clock } from '../clock.ts';

/** A clock for tests: both times change only when the test advances them. */
export function fakeClock(
  start: Date = new Date(0),
): Clock & { advance(durationMs: number): void } {
  let elapsedMs = 0;
  return {
    now: () => new Date(start.getTime() + elapsedMs),
    monotonicMs: () => elapsedMs,
    advance: (durationMs) => {
      elapsedMs += durationMs;
    },
  };
}
