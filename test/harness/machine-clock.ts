/**
 * Milliseconds of the machine's monotonic clock (CLOCK_MONOTONIC), with a resolution of
 * nanoseconds. It is the same in all processes, so it orders their actions.
 */
export function machineMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
