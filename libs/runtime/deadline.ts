import { type Clock, systemClock } from './clock.ts';

/** A point in time shared by one operation and all calls that it makes. */
export type Deadline = {
  /** Aborts at the deadline (reason: a TimeoutError) or when the parent aborts (its reason). */
  signal: AbortSignal;
  /** Remaining milliseconds, never below 0; 0 once the signal has aborted. */
  remainingMs(): number;
};

// Node runs longer timers immediately.
const timerMaxMs = 2 ** 31 - 1;

/** Starts a deadline of `durationMs`, or until the parent aborts. Needs no clean-up. */
export function withDeadline(
  durationMs: number,
  parentSignal?: AbortSignal,
  clock: Clock = systemClock,
): Deadline {
  const boundedMs = Math.min(Math.max(0, durationMs), timerMaxMs);
  const endMs = clock.monotonicMs() + boundedMs;
  const timeout = AbortSignal.timeout(Math.ceil(boundedMs));
  const signal = parentSignal ? AbortSignal.any([parentSignal, timeout]) : timeout;
  return {
    signal,
    remainingMs: () => (signal.aborted ? 0 : Math.max(0, endMs - clock.monotonicMs())),
  };
}

/**
 * Settles as `promise` does, or rejects with the signal's reason if that aborts first. The work of
 * the promise continues; its later rejection is not reported as unhandled.
 */
export async function race<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const onAbort = () => aborted.reject(signal.reason);
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  try {
    // The abort has priority: if both have happened, the deadline has passed.
    return await Promise.race([aborted.promise, promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
