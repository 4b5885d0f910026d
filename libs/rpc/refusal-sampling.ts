import { type Clock, systemClock } from '@silo/runtime/clock.ts';

const windowMs = 10_000;
const linesPerAddressMax = 100;
const linesMax = 1_000;

/** Whether a rejected call is logged, and how many were not in the previous window. */
export type Sampled = { isLogged: boolean; unloggedBefore: number };

/**
 * Limits the log lines of rejected calls to 100 per address and 1,000 in total per 10 s. A flood
 * does not fill the disk, and does not hide rejected calls of other addresses. Holds at most 1,000
 * addresses.
 */
export function createRefusalSampling(
  clock: Pick<Clock, 'monotonicMs'> = systemClock,
): (address: string) => Sampled {
  let endMs = clock.monotonicMs() + windowMs;
  let lines = 0;
  let unlogged = 0;
  const linesOf = new Map<string, number>();
  return (address) => {
    let unloggedBefore = 0;
    if (clock.monotonicMs() >= endMs) {
      unloggedBefore = unlogged;
      endMs = clock.monotonicMs() + windowMs;
      lines = 0;
      unlogged = 0;
      linesOf.clear();
    }
    const own = linesOf.get(address) ?? 0;
    if (own >= linesPerAddressMax || lines >= linesMax) {
      unlogged++;
      return { isLogged: false, unloggedBefore };
    }
    linesOf.set(address, own + 1);
    lines++;
    return { isLogged: true, unloggedBefore };
  };
}
