/** The result of comparing the stream with the log. */
export type Comparison = {
  /** The last sequence up to which the stream is complete. */
  reach: number;
  /** Whether later events need new message ids, because the broker has had some of them before. */
  repair: boolean;
  /** Whether everything in the stream is out of order: earlier events are missing. */
  isPremature: boolean;
};

/**
 * Reads the sequences of one service in the stream's order, and finds up to where they are
 * complete. A repair publishes everything after a gap again, so a later run of sequences fills an
 * earlier gap. `windowStart` is the first sequence that the stream must contain: the smaller of the
 * oldest that it still keeps and the first that was never published. `published` is the last that
 * the broker ever acknowledged.
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
