/**
 * The right to decide one mutation on access that was looked at when it was taken. Held until it is
 * released or expired, and then over permanently: send no commit that may take longer than what is
 * left.
 */
export type Permit = {
  /**
   * For how long it is held at least, in milliseconds, unless it is released or one of the clocks is
   * set; 0 once it is over.
   */
  remainingMs(): number;
  release(): void;
};
