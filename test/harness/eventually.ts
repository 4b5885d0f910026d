import { setTimeout as pause } from 'node:timers/promises';
import { SiloError } from '@silo/errors/silo-error.ts';
import { retry } from '@silo/runtime/retry.ts';

/**
 * Far beyond what a slow, busy machine takes. It costs nothing where the condition comes true: only
 * a failing test waits so long.
 */
const withinDefaultMs = 120_000;
/** Long waits look less often: what they wait for needs the processors. */
const [pauseMinMs, pauseMaxMs] = [10, 250];

/**
 * Answers what `look` answers once it does not throw; past `withinMs` rejects with the last error.
 * How a test waits: for the condition, never for a time.
 */
export async function eventually<T>(
  look: () => Promise<T> | T,
  withinMs = withinDefaultMs,
): Promise<T> {
  const end = performance.now() + withinMs;
  for (let pauseMs = pauseMinMs; ; pauseMs = Math.min(pauseMaxMs, 1.5 * pauseMs)) {
    try {
      return await look();
    } catch (error) {
      if (performance.now() > end) throw error;
    }
    await pause(pauseMs);
  }
}

/**
 * Sends a request again where a service did not respond in time, as clients do: a busy machine is
 * no failure. Each call must send the same request, with one request id.
 */
export async function untilAnswered<T>(call: () => Promise<T>): Promise<T> {
  return await retry(call, {
    ...{ attemptsMax: 20, baseMs: 50, capMs: 2_000 },
    isRetryable: (error) =>
      error instanceof SiloError && error.reasonName === 'DEPENDENCY_UNAVAILABLE',
    signal: AbortSignal.timeout(withinDefaultMs),
  });
}
