import type { Logger } from 'pino';
import { type Clock, systemClock } from './clock.ts';

const windowMs = 10_000;
const linesPerCallerDefault = 100;

/** Limits of log lines within 10 s. */
export type LineLimits = {
  linesMax: number;
  /** Default: 100. */
  linesPerCallerMax?: number;
  /** Default: the system's clock. */
  clock?: Pick<Clock, 'monotonicMs'>;
};

/** Whether a call is logged, and how many calls were not logged in the previous window. */
export type Sampled = { isLogged: boolean; unloggedBefore: number };

/**
 * Limits the log lines of calls per caller and in total. A flood does not fill the disk, and does
 * not hide the calls of others. Holds at most `linesMax` callers.
 * @internal Exported for tests.
 */
export function createLineSampling({
  linesMax,
  linesPerCallerMax = linesPerCallerDefault,
  clock = systemClock,
}: LineLimits): (caller: string) => Sampled {
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

/**
 * The same as a function that says whether to log, and itself logs how many calls were not logged.
 */
export function limitLines(
  log: Logger,
  { message, ...limits }: LineLimits & { message: string },
): (caller: string) => boolean {
  const sample = createLineSampling(limits);
  return (caller) => {
    const { isLogged, unloggedBefore } = sample(caller);
    if (unloggedBefore > 0) log.warn({ calls: unloggedBefore }, message);
    return isLogged;
  };
}
