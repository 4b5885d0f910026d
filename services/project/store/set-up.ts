import { indexMigration } from '@silo/mongo/indexes.ts';
import type { Migration } from '@silo/mongo/migrations.ts';
import { bounded, collectionOptions, reading } from '@silo/mongo/read.ts';
import { retentionSeconds } from '@silo/mongo/retention.ts';
import { MigrationState } from '@silo/protos/gen/silo/project/v1/migration.ts';
import { foldVersion } from '@silo/runtime/fold.ts';
import type { Db } from 'mongodb';
import { foldedName } from '../rules/folded-name.ts';
import { deadTokenIndexes } from './dead-tokens.ts';
import type { MoveDocument, ProjectDocument } from './documents.ts';
import { capturedEventIndexes } from './event-collection.ts';
import { eventDeletionIndexes } from './event-deletions.ts';
import { migratedIndex, migratedToIndex } from './migrating-projects.ts';
import { migrationCopiesName } from './migration-copy.ts';
import { migrationRangeIndexes } from './migration-ranges.ts';
import { migrationCollection, migrationIndexes } from './migrations.ts';
import { retentionIndex } from './retention.ts';
import { usageIndexes } from './usage.ts';

/** The index that returns names in order. */
export const byName = 'by_name';

const foldedAtOnce = 500;
const movesAtOnce = 500;
const recordsAtOnce = 500;

/**
 * Folds the names that an older version of Silo has folded differently, or not at all. If an older
 * process renames a project meanwhile, it is found by the old folding until it is renamed again, or
 * a process starts.
 */
const foldNames: Migration = {
  name: 'folded-names',
  isDone: async (db) => (await staleNames(db, 1)).length === 0,
  run: async (db, signal) => {
    for (;;) {
      signal.throwIfAborted();
      const stale = await staleNames(db, foldedAtOnce);
      if (stale.length === 0) return;
      const updates = stale.map(({ _id, name }) => ({
        // Skips a project that is renamed meanwhile: the next iteration finds it if it is still
        // stale.
        updateOne: { filter: { _id, name }, update: { $set: foldedName(name) } },
      }));
      await reading(projectsOf(db).bulkWrite(updates, { ordered: false }));
    }
  },
};

/**
 * Converts moves that the first releases recorded, each of one project, to the present form. They
 * cannot be undone. If such a process records a move meanwhile, the next start converts it.
 */
const movesOfOneProject: Migration = {
  name: 'moves-of-one-project',
  isDone: async (db) => (await movesOfFirstReleases(db, 1)).length === 0,
  run: async (db, signal) => {
    const organizationIds = ['$sourceOrganizationId', '$destinationOrganizationId'];
    const later = { projectIds: ['$projectId'], organizationIds, revision: 1 };
    for (;;) {
      signal.throwIfAborted();
      const found = await movesOfFirstReleases(db, movesAtOnce);
      if (found.length === 0) return;
      const ids = { _id: { $in: found.map(({ _id }) => _id) } };
      await reading(movesOf(db).updateMany(ids, [{ $set: later }, { $unset: 'projectId' }]));
    }
  },
};

/**
 * Gives an end to records of cancelled migrations that have never brought their project here. If a
 * process of an earlier build closes such a record meanwhile, the next start finds it.
 */
const endsOfCancelledRecords: Migration = {
  name: 'ends-of-cancelled-records',
  isDone: async (db) => (await cancelledWithoutEnd(db, 1)).length === 0,
  run: async (db, signal) => {
    for (;;) {
      signal.throwIfAborted();
      const found = await cancelledWithoutEnd(db, recordsAtOnce);
      if (found.length === 0) return;
      const ids = { _id: { $in: found.map(({ _id }) => _id) } };
      await reading(migrationCollection(db).updateMany(ids, [{ $set: { goneTime: '$$NOW' } }]));
    }
  },
};

/** The migrations of this service's database, in order. */
export const storeMigrations: readonly Migration[] = [
  indexMigration('indexes', {
    ...capturedEventIndexes,
    ...usageIndexes,
    ...deadTokenIndexes,
    ...eventDeletionIndexes,
    ...migrationIndexes,
    projects: [
      { key: { organizationId: 1, state: 1, _id: 1 } },
      { key: { organizationId: 1, state: 1, searchName: 1, _id: 1 }, name: byName },
      { key: { purgeTime: 1 }, sparse: true },
      { key: { foldVersion: 1 } },
      retentionIndex,
      migratedIndex,
      migratedToIndex,
      { key: { 'propertyIndexes.state': 1 }, sparse: true },
    ],
    ...migrationRangeIndexes,
    [migrationCopiesName]: [],
    property_index_work: [],
    slots: [{ key: { closeTime: 1 }, expireAfterSeconds: retentionSeconds.tombstone }],
    moves: [
      { key: { projectIds: 1, _id: -1 } },
      { key: { organizationIds: 1, _id: -1 } },
      { key: { moveTime: 1 }, expireAfterSeconds: retentionSeconds.move },
    ],
  }),
  foldNames,
  movesOfOneProject,
  endsOfCancelledRecords,
];

function projectsOf(db: Db) {
  return db.collection<ProjectDocument>('projects', collectionOptions);
}

function movesOf(db: Db) {
  return db.collection<MoveDocument>('moves', collectionOptions);
}

function movesOfFirstReleases(db: Db, limit: number) {
  const options = { ...bounded, limit, projection: { _id: 1 } } as const;
  return reading(
    movesOf(db)
      .find({ projectIds: { $exists: false } }, options)
      .toArray(),
  );
}

/** Closed records of cancelled migrations to this region whose projects it does not store. */
function cancelledWithoutEnd(db: Db, limit: number) {
  const project = {
    ...{ from: 'projects', localField: 'projectId', foreignField: '_id', as: 'project' },
    pipeline: [{ $project: { _id: 1 } }],
  };
  const side = { side: 'destination', state: MigrationState.MIGRATION_STATE_CANCELLED };
  const found = migrationCollection(db).aggregate<{ _id: string }>(
    [
      // These are few: cancelled migrations of projects that were here before.
      { $match: { ...side, isOpen: { $exists: false }, goneTime: { $exists: false } } },
      { $lookup: project },
      { $match: { project: [] } },
      { $limit: limit },
      { $project: { _id: 1 } },
    ],
    bounded,
  );
  return reading(found.toArray());
}

function staleNames(db: Db, limit: number) {
  const options = { ...bounded, limit, projection: { name: 1 } };
  return reading(
    projectsOf(db)
      .find({ foldVersion: { $ne: foldVersion } }, options)
      .toArray(),
  );
}
