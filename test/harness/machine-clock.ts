/**
 * Milliseconds of the machine's monotonic clock, the same in all of its processes (CLOCK_MONOTONIC),
 * to the nanosecond: what one process did before another did something is decided by it.
 */
export function machineMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
