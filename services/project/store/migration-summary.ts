import { reading } from '@silo/mongo/read.ts';
import { MigrationState } from '@silo/protos/gen/silo/project/v1/migration.ts';
import type { Db } from 'mongodb';
import type { MigrationDocument } from './documents.ts';
import { migrationCollection } from './migrations.ts';

/** The number of open migrations of one side and state. */
export type OpenMigrations = Pick<MigrationDocument, 'side' | 'state'> & {
  count: number;
  /** The largest lag behind the source; only for copying migrations. */
  lagMs: number;
};

const countMax = 1_000;
const timeMaxMs = 1_000;

const { MIGRATION_STATE_COPYING, MIGRATION_STATE_VERIFYING, MIGRATION_STATE_CUTOVER } =
  MigrationState;
const copying = [MIGRATION_STATE_COPYING, MIGRATION_STATE_VERIFYING, MIGRATION_STATE_CUTOVER];

/** Counts the open migrations in this region, up to 1,000, by side and state. */
export async function openMigrations(db: Db): Promise<OpenMigrations[]> {
  const lag = { $cond: [{ $in: ['$state', copying] }, '$progress.lagMs', 0] };
  const open = migrationCollection(db).aggregate<OpenMigrations>(
    [
      // The condition on the sides selects the partial index of open migrations.
      { $match: { isOpen: true, side: { $in: ['source', 'destination'] } } },
      { $limit: countMax },
      {
        $group: {
          _id: { side: '$side', state: '$state' },
          count: { $sum: 1 },
          lagMs: { $max: lag },
        },
      },
      {
        $project: {
          ...{ _id: 0, side: '$_id.side', state: '$_id.state', count: 1 },
          lagMs: { $ifNull: ['$lagMs', 0] },
        },
      },
    ],
    { maxTimeMS: timeMaxMs },
  );
  return await reading(open.toArray());
}
