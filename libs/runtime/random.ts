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

/** A random source for tests and simulations: the same seed gives the same numbers (mulberry32). */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
