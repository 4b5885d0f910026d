/**
 * The right to decide one mutation on access that was checked when the permit was taken. It is held
 * until it is released or expires, and then ends for good: send no commit that may take longer than
 * the remaining time.
 */
export type Permit = {
  /**
   * The minimum time for which it is still held, in milliseconds, unless it is released or a clock
   * is set; 0 after its end.
   */
  remainingMs(): number;
  release(): void;
};
