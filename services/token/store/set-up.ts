import { indexMigration } from '@silo/mongo/indexes.ts';
import type { Migration } from '@silo/mongo/migrations.ts';
import { retentionSeconds } from '@silo/mongo/retention.ts';

/** The service's collections and indexes. */
export const storeMigrations: readonly Migration[] = [
  indexMigration('indexes', {
    projects: [{ key: { purgeTime: 1 }, expireAfterSeconds: retentionSeconds.tombstone }],
    project_tokens: [{ key: { projectId: 1 }, unique: true }],
    revoked_tokens: [
      { key: { projectId: 1, revokeTime: -1 } },
      { key: { revokeTime: 1 }, expireAfterSeconds: retentionSeconds.revokedToken },
    ],
    api_keys: [
      { key: { accountId: 1, _id: 1 } },
      { key: { expireTime: 1 }, expireAfterSeconds: retentionSeconds.expiredKey },
    ],
    key_secrets: [
      { key: { keyId: 1 } },
      { key: { expireTime: 1 }, expireAfterSeconds: retentionSeconds.expiredKey },
    ],
    accounts: [],
    guard_leases: [{ key: { releaseTime: 1 }, expireAfterSeconds: retentionSeconds.releasedLease }],
    requirements: [],
    broadcast_keys: [{ key: { createTime: 1 }, expireAfterSeconds: retentionSeconds.broadcastKey }],
    lease_roots: [],
    dead_keys: [{ key: { expireTime: 1 }, expireAfterSeconds: 0 }],
  }),
];
