const hourSeconds = 60 * 60;
const daySeconds = 24 * hourSeconds;

/**
 * How long MongoDB keeps what has ended, in seconds after the time that each TTL index names;
 * docs/retention.md says what that is for each collection, and a test holds the two together.
 */
export const retentionSeconds = {
  /** Of the event log: a consumer that was away for longer starts over. */
  event: 90 * daySeconds,
  /** A finished saga is what a repeated request answers from; requests are kept for 25 hours. */
  finishedSaga: 26 * hourSeconds,
  /** What remains of a deleted thing, so that a late step of its life finds that it is gone. */
  tombstone: 90 * daySeconds,
  /** A move, long after it can be undone. */
  move: 90 * daySeconds,
  /** A finished deletion of events: the receipt that its caller may read. */
  eventDeletion: 30 * daySeconds,
  activity: 365 * daySeconds,
  /** The hash of a revoked project token: an old app may send it for long. */
  revokedToken: 365 * daySeconds,
  /** How a dead token is used. */
  deadTokenUse: 30 * daySeconds,
  /** A day of usage: two years can be compared with each other. */
  usage: 2 * 366 * daySeconds,
  /** An expired API key, so that its owner sees what became of it. */
  expiredKey: 30 * daySeconds,
  /** A broadcast key, long after the registry has stopped giving it out. */
  broadcastKey: daySeconds,
  /** A released lease, long after an Acquire of it could still be under way. */
  releasedLease: hourSeconds,
} as const;
