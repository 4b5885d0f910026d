/** Both clocks, read in one turn. `wallMs` is milliseconds since 1970. The core never keeps it. */
export type Reading = { monotonicMs: number; wallMs: number };

/** A stretch of time that ends by whichever clock says so first. */
export type Fence = { fromMonotonicMs: number; fromWallMs: number; lengthMs: number };

/** A fence of that length, counted from this reading. */
export function fenceFrom(now: Reading, lengthMs: number): Fence {
  return { fromMonotonicMs: now.monotonicMs, fromWallMs: now.wallMs, lengthMs };
}

/**
 * Whether a fence is over. The monotonic clock stops while a machine is suspended (Linux), the
 * wall clock may be set back: each covers for the other. A wall clock before the fence's own
 * beginning was set back, so nobody knows how long ago that was.
 */
export function isOver(fence: Fence, now: Reading, wallClockToo: boolean): boolean {
  if (now.monotonicMs - fence.fromMonotonicMs >= fence.lengthMs) return true;
  if (!wallClockToo) return false;
  const wallElapsedMs = now.wallMs - fence.fromWallMs;
  return wallElapsedMs >= fence.lengthMs || wallElapsedMs < 0;
}
