import { isServiceError, reasonOf } from '@silo/errors/from-status.ts';
import { type Sleep, systemSleep } from '@silo/runtime/clock.ts';
import { equalJitterMs } from '@silo/runtime/random.ts';
import { CopyAhead } from '../store/copy-steps.ts';
import { causeOf } from './region-failed.ts';

const backoff = { baseMs: 100, capMs: 5_000 };
/** Maximum number of consecutive internal errors without progress. */
const unexplainedMax = 10;
/** Maximum number of consecutive failures without progress, which take half a minute. */
const failuresMax = 12;
/** Reasons of transient errors. */
const passing = new Set([
  ...['DEPENDENCY_UNAVAILABLE', 'DRAINING', 'NOT_READY', 'CALL_ENDED', 'RATE_LIMITED'],
  'REQUEST_IN_PROGRESS',
]);

type Options = {
  signal: AbortSignal;
  /** Increases with every success. */
  progress: () => number;
  onInterrupted: (error: unknown, failures: number) => void;
  sleep?: Sleep;
};

/**
 * Repeats `work` until the signal aborts, with pauses that grow while nothing succeeds. Rejects
 * with a permanent error, and with the last one after too many failures without progress.
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

/** Whether a server refuses for a transient reason, such as a restart. */
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
