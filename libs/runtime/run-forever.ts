import { type Sleep, systemSleep } from './clock.ts';
import type { Log } from './log.ts';
import { equalJitterMs, type Random } from './random.ts';

const pauseMinMs = 100;
const pauseCapMs = 30_000;

/**
 * Runs `iterate` in a loop until `signal` aborts, `intervalMs` after the end of each iteration. A
 * failed iteration is logged and followed by a pause that grows with each failure in a row (equal
 * jitter, from `intervalMs` but at least 100 ms, to `capMs`). Never rejects; resolves when the
 * signal has aborted and the current iteration has ended.
 */
export async function runForever(
  options: {
    name: string;
    intervalMs: number;
    /** The longest pause after failures; default 30 s. */
    capMs?: number;
    signal: AbortSignal;
    log: Log;
    random?: Random;
    sleep?: Sleep;
  },
  iterate: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const { name, intervalMs, signal, log, random, sleep = systemSleep } = options;
  const { capMs = pauseCapMs } = options;
  const limits = {
    baseMs: Math.max(intervalMs, pauseMinMs),
    capMs: Math.max(intervalMs, capMs),
  };
  let failures = 0;
  while (!signal.aborted) {
    let pauseMs = intervalMs;
    try {
      await iterate(signal);
      failures = 0;
    } catch (error) {
      if (signal.aborted) break;
      failures++;
      pauseMs = equalJitterMs(failures, limits, random);
      log.error(
        { loop: name, failures, pauseMs: Math.round(pauseMs), err: error },
        'loop iteration failed',
      );
    }
    await sleep(pauseMs, signal).catch(() => {}); // an abort ends the loop, above
  }
}
