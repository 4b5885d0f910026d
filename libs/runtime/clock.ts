import { setTimeout as timeout } from 'node:timers/promises';

/**
 * A clock as a parameter: `now` is the wall clock; `monotonicMs` never decreases and has an
 * arbitrary zero.
 */
export type Clock = { now(): Date; monotonicMs(): number };

/** Resolves after `durationMs`; rejects with the signal's reason when it aborts. */
export type Sleep = (durationMs: number, signal?: AbortSignal) => Promise<void>;

export const systemClock: Clock = {
  now: () => new Date(),
  monotonicMs: () => performance.now(),
};

export const systemSleep: Sleep = async (durationMs, signal) => {
  try {
    await timeout(durationMs, undefined, { signal });
  } catch (error) {
    // Node wraps the reason in its own AbortError
    signal?.throwIfAborted();
    throw error;
  }
};
