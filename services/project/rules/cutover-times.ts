/**
 * Times of an attempt at the cutover. SDKs give up after about 9 s (decision 031): so a capture
 * waits for at most 8 s, the source ends an attempt by then, and the destination normally ends it
 * earlier.
 */

/**
 * After this time the destination ends an unfinished attempt, and the source, by its database's
 * clock, refuses to commit it.
 */
export const attemptMsMax = 6_000;

/** After this time, by the source's database's clock, the source ends an uncommitted attempt. */
export const holdMsMax = 8_000;

/**
 * Maximum time that a capture waits at the edge for the end of an attempt or of another failure.
 */
export const captureWaitMsMax = 8_000;
