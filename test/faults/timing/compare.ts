/** How probable it is that a call of one kind takes longer than one of another kind. */

/** The duration of each call in milliseconds, for both kinds of target. */
export type Samples = { hidden: readonly number[]; absent: readonly number[] };

/**
 * The probability that a random hidden sample is larger than a random absent one, a tie counting
 * half: the Mann-Whitney U statistic divided by the number of pairs. 0.5 means that neither is
 * slower. NaN if a side has no sample.
 */
export function probabilitySlower({ hidden, absent }: Samples): number {
  const all = [
    ...hidden.map((ms) => ({ ms, isHidden: true })),
    ...absent.map((ms) => ({ ms, isHidden: false })),
  ].sort((a, b) => a.ms - b.ms);
  let hiddenRanks = 0;
  for (let first = 0; first < all.length; ) {
    let end = first;
    while (all[end]?.ms === all[first]?.ms && end < all.length) end++;
    // Equal samples share the mean of their ranks, which count from 1.
    const rank = (first + 1 + end) / 2;
    hiddenRanks += rank * all.slice(first, end).filter(({ isHidden }) => isHidden).length;
    first = end;
  }
  const u = hiddenRanks - (hidden.length * (hidden.length + 1)) / 2;
  return u / (hidden.length * absent.length);
}

/** The standard error of that probability if both kinds take equally long. */
export function standardError({ hidden, absent }: Samples): number {
  const [n, m] = [hidden.length, absent.length];
  return Math.sqrt((n + m + 1) / (12 * n * m));
}

/** How far the probability may be from 0.5. */
const differenceMax = 0.05;
/** Chance alone exceeds this number of standard errors once in 15,000 comparisons. */
const standardErrorsMin = 4;

/**
 * The largest accepted difference from 0.5: 0.05, or four standard errors if the samples are too
 * few to show so small a difference. From 2,200 calls on it is 0.05.
 */
export function differenceAllowed(samples: Samples): number {
  return Math.max(differenceMax, standardErrorsMin * standardError(samples));
}
