import { ensureIndexes } from '@silo/mongo/indexes.ts';
import { retentionSeconds } from '@silo/mongo/retention.ts';
import type { Db } from 'mongodb';

/** The index that answers names in their order. */
export const byName = 'by_name';

/** Makes the service's collections and indexes; safe to repeat. */
export async function setUpStore(db: Db): Promise<void> {
  await ensureIndexes(db, {
    projects: [
      { key: { organizationId: 1, state: 1, _id: 1 } },
      { key: { organizationId: 1, state: 1, searchName: 1, _id: 1 }, name: byName },
      { key: { purgeTime: 1 }, sparse: true },
    ],
    slots: [{ key: { closeTime: 1 }, expireAfterSeconds: retentionSeconds.tombstone }],
    moves: [
      { key: { projectIds: 1, _id: -1 } },
      { key: { organizationIds: 1, _id: -1 } },
      { key: { moveTime: 1 }, expireAfterSeconds: retentionSeconds.move },
    ],
  });
}
