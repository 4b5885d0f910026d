import { type Clock, systemClock } from './clock.ts';

/** A point in time that one piece of work shares with all that it calls. */
export type Deadline = {
  /** Aborts when the time is over (reason: a TimeoutError) or when the parent does (its reason). */
  signal: AbortSignal;
  /** Milliseconds left, never below 0; 0 as soon as the signal has aborted. */
  remainingMs(): number;
};

// Node fires longer timers at once.
const timerMaxMs = 2 ** 31 - 1;

/** Starts a deadline of `durationMs`, cut short by the parent's abort. Needs no clean-up. */
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
 * Settles as `promise` does, or rejects with the signal's reason if that aborts first. What the
 * promise stands for goes on; its late failure is not reported as unhandled.
 */
export async function race<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const onAbort = () => aborted.reject(signal.reason);
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  try {
    // The abort stands first: where both have happened already, the deadline is over.
    return await Promise.race([aborted.promise, promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
