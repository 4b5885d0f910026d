/** Both clocks, read in one turn. `wallMs` is milliseconds since 1970. The core never keeps it. */
export type Reading = { monotonicMs: number; wallMs: number };

/** A stretch of time that ends by whichever clock says so first. */
export type Fence = { fromMonotonicMs: number; fromWallMs: number; lengthMs: number };

/** A fence of that length, counted from this reading. */
export function fenceFrom(now: Reading, lengthMs: number): Fence {
  return { fromMonotonicMs: now.monotonicMs, fromWallMs: now.wallMs, lengthMs };
}

/**
 * How much of a fence is left, 0 or less once it is over. The monotonic clock stops while a machine is suspended
 * (Linux), the wall clock may be set back: each covers for the other. A wall clock before the fence's own
 * beginning was set back, so nobody knows how long ago that was.
 */
export function leftOf(fence: Fence, now: Reading, wallClockToo: boolean): number {
  const elapsedMs = now.monotonicMs - fence.fromMonotonicMs;
  if (!wallClockToo) return fence.lengthMs - elapsedMs;
  const wallElapsedMs = now.wallMs - fence.fromWallMs;
  return wallElapsedMs < 0 ? 0 : fence.lengthMs - Math.max(elapsedMs, wallElapsedMs);
}

/** Whether a fence is over. */
export function isOver(fence: Fence, now: Reading, wallClockToo: boolean): boolean {
  return leftOf(fence, now, wallClockToo) <= 0;
}
