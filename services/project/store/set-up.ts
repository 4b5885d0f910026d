import { fromMongo } from '@silo/mongo/from-mongo.ts';
import { ensureIndexes } from '@silo/mongo/indexes.ts';
import { collectionOptions } from '@silo/mongo/read.ts';
import { retentionSeconds } from '@silo/mongo/retention.ts';
import { foldVersion } from '@silo/runtime/fold.ts';
import type { Db } from 'mongodb';
import { foldedName } from '../rules/folded-name.ts';
import { capturedEventIndexes } from './captured-events.ts';
import { deadTokenIndexes } from './dead-tokens.ts';
import type { ProjectDocument } from './documents.ts';
import { eventDeletionIndexes } from './event-deletions.ts';
import { retentionIndex } from './retention.ts';
import { usageIndexes } from './usage.ts';

/** The index that answers names in their order. */
export const byName = 'by_name';

const foldedAtOnce = 500;

/** Makes the service's collections and indexes, and folds old names anew; safe to repeat. */
export async function setUpStore(db: Db): Promise<void> {
  await ensureIndexes(db, {
    ...capturedEventIndexes,
    ...usageIndexes,
    ...deadTokenIndexes,
    ...eventDeletionIndexes,
    projects: [
      { key: { organizationId: 1, state: 1, _id: 1 } },
      { key: { organizationId: 1, state: 1, searchName: 1, _id: 1 }, name: byName },
      { key: { purgeTime: 1 }, sparse: true },
      { key: { foldVersion: 1 } },
      retentionIndex,
      { key: { 'propertyIndexes.state': 1 }, sparse: true },
    ],
    property_index_work: [],
    slots: [{ key: { closeTime: 1 }, expireAfterSeconds: retentionSeconds.tombstone }],
    moves: [
      { key: { projectIds: 1, _id: -1 } },
      { key: { organizationIds: 1, _id: -1 } },
      { key: { moveTime: 1 }, expireAfterSeconds: retentionSeconds.move },
    ],
  });
  await foldNames(db);
}

/**
 * Folds the names that an older version of Silo has folded, or has not. One that an older process
 * renames meanwhile is found by its old folding until it is renamed again.
 */
async function foldNames(db: Db): Promise<void> {
  const projects = db.collection<ProjectDocument>('projects', collectionOptions);
  try {
    for (;;) {
      const stale = await projects
        .find({ foldVersion: { $ne: foldVersion } }, { projection: { name: 1 } })
        .limit(foldedAtOnce)
        .toArray();
      if (stale.length === 0) return;
      const updates = stale.map(({ _id, name }) => ({
        // Unless it is renamed meanwhile: then the next turn sees it, if it must.
        updateOne: { filter: { _id, name }, update: { $set: foldedName(name) } },
      }));
      await projects.bulkWrite(updates, { ordered: false });
    }
  } catch (error) {
    throw fromMongo(error);
  }
}
