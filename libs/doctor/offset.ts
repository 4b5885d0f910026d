import type { Offset } from './facts.ts';

/** The times at which a request was sent and its answer arrived, by this machine's clock. */
export type Exchange = { sentMs: number; receivedMs: number };

/**
 * The offset of a clock that showed `shownMs` at some time between the request and the answer;
 * `resolutionMs` is the step of that clock.
 */
export function offsetOf(
  shownMs: number,
  { sentMs, receivedMs }: Exchange,
  resolutionMs = 0,
): Offset | undefined {
  if (Number.isNaN(shownMs)) return undefined;
  return { minMs: shownMs - receivedMs, maxMs: shownMs + resolutionMs - sentMs };
}
