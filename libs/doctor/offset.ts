import type { Offset } from './facts.ts';

/** When a request was sent and when its answer came, by this machine's clock. */
export type Exchange = { sentMs: number; receivedMs: number };

/**
 * The offset of a clock that showed `shownMs` somewhere between the request and the answer;
 * `resolutionMs` is how far its hand jumps.
 */
export function offsetOf(
  shownMs: number,
  { sentMs, receivedMs }: Exchange,
  resolutionMs = 0,
): Offset | undefined {
  if (Number.isNaN(shownMs)) return undefined;
  return { minMs: shownMs - receivedMs, maxMs: shownMs + resolutionMs - sentMs };
}
