import { ensureIndexes } from '@silo/mongo/indexes.ts';
import { retentionSeconds } from '@silo/mongo/retention.ts';
import type { Db } from 'mongodb';

/** Makes the service's collections and indexes; safe to repeat. */
export async function setUpStore(db: Db): Promise<void> {
  await ensureIndexes(db, {
    subscriptions: [{ key: { closeTime: 1 }, expireAfterSeconds: retentionSeconds.tombstone }],
  });
}
