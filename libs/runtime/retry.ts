import { type Sleep, systemSleep } from './clock.ts';
import { fullJitterMs, type Random } from './random.ts';

/**
 * Calls `attempt` until it succeeds, at most `attemptsMax` times, with full-jitter exponential
 * pauses. Only for work that is safe to repeat. Rejects with the last error if it is not retryable,
 * no attempt is left, or the signal aborts; with the signal's reason if it aborted before the first
 * attempt. An attempt is never abandoned: it gets the signal and must obey it.
 * `minPauseMs`: added to the pause, such as a delay that a server requested. `onRetry`: called
 * before it.
 */
export async function retry<T>(
  attempt: (signal: AbortSignal, number: number) => Promise<T>,
  options: {
    attemptsMax: number;
    baseMs: number;
    capMs: number;
    isRetryable(error: unknown): boolean;
    signal: AbortSignal;
    minPauseMs?(error: unknown): number;
    onRetry?(error: unknown): void;
    random?: Random;
    sleep?: Sleep;
  },
): Promise<T> {
  const { signal, attemptsMax, isRetryable, random, sleep = systemSleep } = options;
  signal.throwIfAborted();
  for (let number = 1; ; number++) {
    try {
      return await attempt(signal, number);
    } catch (error) {
      if (number >= attemptsMax || signal.aborted || !isRetryable(error)) throw error;
      options.onRetry?.(error);
      const pauseMs = (options.minPauseMs?.(error) ?? 0) + fullJitterMs(number, options, random);
      // The last error is more useful than "aborted".
      await sleep(pauseMs, signal).catch(() => {});
      if (signal.aborted) throw error;
    }
  }
}
