/** Returns a number from 0 to below 1, as Math.random does. */
export type Random = () => number;

/**
 * The pause before attempt `failures` + 1: random between 0 and an exponential bound ("full
 * jitter", https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/). `failures`
 * counts from 1.
 */
export function fullJitterMs(
  failures: number,
  limits: { baseMs: number; capMs: number },
  random: Random = Math.random,
): number {
  return random() * exponentialMs(failures, limits);
}

/**
 * At least half of the bound, the other half random ("equal jitter"): a loop never runs without a
 * pause.
 */
export function equalJitterMs(
  failures: number,
  limits: { baseMs: number; capMs: number },
  random: Random = Math.random,
): number {
  return ((1 + random()) / 2) * exponentialMs(failures, limits);
}

function exponentialMs(failures: number, limits: { baseMs: number; capMs: number }): number {
  return Math.min(limits.capMs, limits.baseMs * 2 ** (failures - 1));
}
