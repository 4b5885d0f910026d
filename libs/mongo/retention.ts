const hourSeconds = 60 * 60;
const daySeconds = 24 * hourSeconds;

/**
 * How long MongoDB keeps ended things, in seconds after the time that each TTL index names.
 * docs/retention.md lists the collections, and a test compares both.
 */
export const retentionSeconds = {
  /** Events of the log; a consumer that was away for longer starts over. */
  event: 90 * daySeconds,
  /** A finished saga, from which a repeated request is answered; requests are kept for 25 hours. */
  finishedSaga: 26 * hourSeconds,
  /** The remains of a deleted thing, so that a late step can see that it is gone. */
  tombstone: 90 * daySeconds,
  /** A move; much longer than it can be undone. */
  move: 90 * daySeconds,
  /** A finished deletion of events: the receipt that its caller may read. */
  eventDeletion: 30 * daySeconds,
  /** A migration of a project that is gone: a region that was away for long may ask for it. */
  goneMigration: 365 * daySeconds,
  activity: 365 * daySeconds,
  /** The hash of a revoked project token, because an old app may send it for long. */
  revokedToken: 365 * daySeconds,
  /** The recorded use of a dead token. */
  deadTokenUse: 30 * daySeconds,
  /** A day of usage: two years can be compared with each other. */
  usage: 2 * 366 * daySeconds,
  /** An expired API key, so that its owner can see what happened to it. */
  expiredKey: 30 * daySeconds,
  /** A broadcast key, long after the registry has stopped distributing it. */
  broadcastKey: daySeconds,
  /** A released lease, long after an Acquire of it could still be executed. */
  releasedLease: hourSeconds,
} as const;
