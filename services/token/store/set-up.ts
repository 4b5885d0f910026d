import { ensureIndexes } from '@silo/mongo/indexes.ts';
import type { Db } from 'mongodb';

const daySeconds = 24 * 60 * 60;

/** Makes the service's collections and indexes; safe to repeat. */
export async function setUpStore(db: Db): Promise<void> {
  await ensureIndexes(db, {
    projects: [],
    project_tokens: [{ key: { projectId: 1 }, unique: true }],
    api_keys: [{ key: { accountId: 1, _id: 1 } }],
    key_secrets: [
      { key: { keyId: 1 } },
      { key: { overlapExpireTime: 1 }, expireAfterSeconds: daySeconds },
    ],
    accounts: [],
    guard_leases: [],
    requirements: [],
    // Long after nobody is given it any more.
    broadcast_keys: [{ key: { createTime: 1 }, expireAfterSeconds: daySeconds }],
    lease_roots: [],
    dead_keys: [{ key: { expireTime: 1 }, expireAfterSeconds: 0 }],
  });
}
