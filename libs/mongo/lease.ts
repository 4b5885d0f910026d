import type { Document } from 'mongodb';

/**
 * A lease on a document, whose field `until` says when it expires; `owner` names its holder, and
 * `fence` grows with every acquisition. What follows are parts of filters and update pipelines. The
 * lease begins and expires by the database's clock (`$$NOW`): a process whose clock is wrong neither
 * acquires a live lease nor leaves one that outlasts its time. A holder names its fence in the filter
 * of every write, renewals included: once another process has acquired the lease, they match nothing.
 */
export function leaseOn(until: string) {
  const expireAfter = (ms: number) => ({ [until]: { $add: ['$$NOW', ms] } });
  return {
    /** Filter: the lease has expired or was released. */
    isFree: { $expr: { $lte: [`$${until}`, '$$NOW'] } },
    /** Of a document that matches `isFree`. */
    acquire: (owner: string, leaseMs: number): Document[] => [
      { $set: { owner, fence: { $add: ['$fence', 1] }, ...expireAfter(leaseMs) } },
    ],
    renew: (leaseMs: number): Document[] => [{ $set: expireAfter(leaseMs) }],
    /** Anyone may acquire it after `pauseMs`. */
    release: (pauseMs = 0): Document[] => [{ $set: { owner: '', ...expireAfter(pauseMs) } }],
  };
}
