/**
 * Both clocks, read in one turn of the event loop. `wallMs` is milliseconds since 1970; the core
 * never stores it on its own.
 */
export type Reading = { monotonicMs: number; wallMs: number };

/** A period that ends when either clock says so. */
export type Fence = { fromMonotonicMs: number; fromWallMs: number; lengthMs: number };

/** A fence of this length that begins at this reading. */
export function fenceFrom(now: Reading, lengthMs: number): Fence {
  return { fromMonotonicMs: now.monotonicMs, fromWallMs: now.wallMs, lengthMs };
}

/**
 * The time that is left of a fence; 0 or less once it is over. The monotonic clock stops while a
 * machine is suspended (Linux), and the wall clock may be set back, so each covers for the other. A
 * wall clock that shows a time before the fence began was set back; then the elapsed time is
 * unknown.
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
