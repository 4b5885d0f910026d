/**
 * The right to decide one mutation on access that was looked at when it was taken. Held until it is
 * released or expired, and then permanently: check it right before the commit.
 */
export type Permit = { isHeld(): boolean; release(): void };
