import { type Clock, systemClock } from '@silo/runtime/clock.ts';
import type { Logger } from 'pino';

const windowMs = 10_000;
const linesPerCallerMax = 100;

/** Whether a call is logged, and how many calls were not logged in the previous window. */
export type Sampled = { isLogged: boolean; unloggedBefore: number };

/**
 * Limits the log lines of calls to 100 per caller and `linesMax` in total per 10 s. A flood does not
 * fill the disk, and does not hide the calls of others. Holds at most `linesMax` callers.
 * @internal Exported for tests.
 */
export function createLineSampling(
  linesMax: number,
  clock: Pick<Clock, 'monotonicMs'> = systemClock,
): (caller: string) => Sampled {
  let endMs = clock.monotonicMs() + windowMs;
  let lines = 0;
  let unlogged = 0;
  const linesOf = new Map<string, number>();
  return (caller) => {
    let unloggedBefore = 0;
    if (clock.monotonicMs() >= endMs) {
      unloggedBefore = unlogged;
      endMs = clock.monotonicMs() + windowMs;
      lines = 0;
      unlogged = 0;
      linesOf.clear();
    }
    const own = linesOf.get(caller) ?? 0;
    if (own >= linesPerCallerMax || lines >= linesMax) {
      unlogged++;
      return { isLogged: false, unloggedBefore };
    }
    linesOf.set(caller, own + 1);
    lines++;
    return { isLogged: true, unloggedBefore };
  };
}

/** The same as a function that says whether to log, and itself logs how many calls were not logged. */
export function limitLines(
  log: Logger,
  linesMax: number,
  message: string,
): (caller: string) => boolean {
  const sample = createLineSampling(linesMax);
  return (caller) => {
    const { isLogged, unloggedBefore } = sample(caller);
    if (unloggedBefore > 0) log.warn({ calls: unloggedBefore }, message);
    return isLogged;
  };
}
