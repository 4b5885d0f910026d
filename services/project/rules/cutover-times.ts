/**
 * The times of an attempt at the cutover. SDKs give up after some 9 s (decision 031): so a capture waits
 * for 8 s at most, the source ends an attempt by then, and the destination gives it up before, so that
 * it ends in order.
 */

/**
 * After this time the destination gives an attempt up that it has not finished, and the source, by its
 * database's clock, refuses to commit it.
 */
export const attemptMsMax = 6_000;

/** After this time, by the source's database, an attempt is over unless it is committed. */
export const holdMsMax = 8_000;

/** For how long a capture waits at the edge, for the end of an attempt or of another failure. */
export const captureWaitMsMax = 8_000;
