import type { Document } from 'mongodb';

/**
 * A lease on a document, whose field `until` is its expiry; `owner` names its holder, and `fence`
 * grows with every acquisition. The functions return parts of filters and update pipelines. The
 * lease begins and expires by the database's clock (`$$NOW`): a process whose clock is wrong can
 * neither acquire a live lease nor leave one that lasts too long. A holder includes its fence in
 * the filter of every write, renewals included: after another process has acquired the lease, they
 * match nothing.
 */
export function leaseOn(until: string) {
  const expireAfter = (ms: number) => ({ [until]: { $add: ['$$NOW', ms] } });
  return {
    /** Filter: the lease has expired or was released. */
    isFree: { $expr: { $lte: [`$${until}`, '$$NOW'] } },
    /** Update for a document that matches `isFree`. */
    acquire: (owner: string, leaseMs: number): Document[] => [
      { $set: { owner, fence: { $add: ['$fence', 1] }, ...expireAfter(leaseMs) } },
    ],
    renew: (leaseMs: number): Document[] => [{ $set: expireAfter(leaseMs) }],
    /** Update after which any process may acquire it after `pauseMs`. */
    release: (pauseMs = 0): Document[] => [{ $set: { owner: '', ...expireAfter(pauseMs) } }],
  };
}
