import { isServiceError, reasonOf } from '@silo/errors/from-status.ts';
import { type Sleep, systemSleep } from '@silo/runtime/clock.ts';
import { equalJitterMs } from '@silo/runtime/random.ts';
import { CopyAhead } from '../store/migration-copy.ts';
import { causeOf } from './region-failed.ts';

const backoff = { baseMs: 100, capMs: 5_000 };
/** In a row, without any progress between them, of failures that nobody explains. */
const unexplainedMax = 10;
/** In a row, without any progress: that takes half a minute. */
const failuresMax = 12;
/** What ends by itself. */
const passing = new Set([
  ...['DEPENDENCY_UNAVAILABLE', 'DRAINING', 'NOT_READY', 'CALL_ENDED', 'RATE_LIMITED'],
  'REQUEST_IN_PROGRESS',
]);

type Options = {
  signal: AbortSignal;
  /** Grows with every success. */
  progress: () => number;
  onInterrupted: (error: unknown, failures: number) => void;
  sleep?: Sleep;
};

/**
 * Does something again and again until the signal, after pauses that grow while nothing succeeds.
 * Rejects with what no repetition mends, and with the last failure where nothing succeeds for long.
 */
export async function goOn(work: () => Promise<void>, options: Options): Promise<never> {
  const { signal, progress, onInterrupted, sleep = systemSleep } = options;
  for (let failures = 0; ; ) {
    const before = progress();
    try {
      await work();
      failures = 0;
    } catch (error) {
      signal.throwIfAborted();
      failures = progress() > before ? 1 : failures + 1;
      if (failures >= failuresMax || !mayPass(causeOf(error), failures)) throw error;
      onInterrupted(error, failures);
      await sleep(equalJitterMs(failures, backoff), signal);
    }
  }
}

/** Whether a server refuses for a reason that ends by itself, as that of one that restarts. */
export function isPassing(error: unknown): boolean {
  const reason = reasonOf(error);
  return reason !== undefined && passing.has(reason);
}

function mayPass(error: unknown, failures: number): boolean {
  const reason = reasonOf(error);
  if (reason === 'INTERNAL') return failures <= unexplainedMax;
  if (reason !== undefined) return isPassing(error);
  const isSilent = error instanceof DOMException && error.name === 'TimeoutError';
  return isSilent || error instanceof CopyAhead || isServiceError(error);
}
