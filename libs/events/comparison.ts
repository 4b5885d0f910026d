/** What a comparison of the stream with the log found. */
export type Comparison = {
  /** The last sequence up to which the stream holds everything that it must. */
  reach: number;
  /** Whether what follows must go out under new message ids, for the broker had some of it before. */
  repair: boolean;
  /** Whether all that the stream holds stands before its time: what must come first is not there. */
  isPremature: boolean;
};

/**
 * Walks the sequences of one service in the stream, in the stream's order, and finds up to where
 * they are whole. A repair repeats everything from a hole on, so a later run fills an earlier hole.
 *
 * `windowStart` is the first sequence that the stream must hold: the oldest that it still keeps, or
 * the first that was never published, whichever is less. `published` is the last that the broker
 * has ever acknowledged.
 */
export function compare(
  sequences: Iterable<number>,
  { windowStart, published }: { windowStart: number; published: number },
): Comparison {
  let reach = windowStart - 1;
  let highest = 0;
  for (const sequence of sequences) {
    if (sequence === reach + 1) reach = sequence;
    highest = Math.max(highest, sequence);
  }
  return {
    reach,
    repair: highest > reach || reach < published,
    isPremature: highest > reach && reach < windowStart,
  };
}
