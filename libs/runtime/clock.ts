import { setTimeout as timeout } from 'node:timers/promises';

/** Time as a parameter: `now` is the wall clock, `monotonicMs` never goes back (its zero is arbitrary). */
export type Clock = { now(): Date; monotonicMs(): number };

/** Resolves after `durationMs`; rejects with the signal's reason as soon as that aborts. */
export type Sleep = (durationMs: number, signal?: AbortSignal) => Promise<void>;

export const systemClock: Clock = {
  now: () => new Date(),
  monotonicMs: () => performance.now(),
};

export const systemSleep: Sleep = async (durationMs, signal) => {
  try {
    await timeout(durationMs, undefined, { signal });
  } catch (error) {
    // node wraps the reason in an AbortError of its own
    signal?.throwIfAborted();
    throw error;
  }
};

/** A clock for tests: it stands still until it is advanced, both of its hands together. */
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
