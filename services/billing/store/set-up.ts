import { indexMigration } from '@silo/mongo/indexes.ts';
import type { Migration } from '@silo/mongo/migrations.ts';
import { retentionSeconds } from '@silo/mongo/retention.ts';

/** The service's collections and indexes. */
export const storeMigrations: readonly Migration[] = [
  indexMigration('indexes', {
    subscriptions: [{ key: { closeTime: 1 }, expireAfterSeconds: retentionSeconds.tombstone }],
  }),
];
