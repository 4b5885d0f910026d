import { type Sleep, systemSleep } from './clock.ts';
import type { Log } from './log.ts';
import { equalJitterMs, type Random } from './random.ts';

const pauseMinMs = 100;
const pauseCapMs = 30_000;

/**
 * Runs `turn` again and again, `intervalMs` after the end of the one before, until `signal` aborts.
 * A turn that fails is logged and followed by a pause that grows with each failure in a row (equal
 * jitter, from `intervalMs` but at least 100 ms, to 30 s). Never rejects; resolves when the signal
 * has aborted and the current turn has ended.
 */
export async function runForever(
  options: {
    name: string;
    intervalMs: number;
    signal: AbortSignal;
    log: Log;
    random?: Random;
    sleep?: Sleep;
  },
  turn: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const { name, intervalMs, signal, log, random, sleep = systemSleep } = options;
  const limits = {
    baseMs: Math.max(intervalMs, pauseMinMs),
    capMs: Math.max(intervalMs, pauseCapMs),
  };
  let failures = 0;
  while (!signal.aborted) {
    let pauseMs = intervalMs;
    try {
      await turn(signal);
      failures = 0;
    } catch (error) {
      if (signal.aborted) break;
      failures++;
      pauseMs = equalJitterMs(failures, limits, random);
      log.error(
        { loop: name, failures, pauseMs: Math.round(pauseMs), err: error },
        'a turn failed',
      );
    }
    await sleep(pauseMs, signal).catch(() => {}); // an abort ends the loop, above
  }
}
