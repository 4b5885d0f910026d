import type { Clock } from '@silo/runtime/clock.ts';
import type { Db } from 'mongodb';
import { ChangeFollower, type Followed } from './migration-changes.ts';
import { openEventReader } from './migration-events.ts';

/** What another region reads of a project's events. */
export type MigrationSource = ReturnType<typeof createMigrationSource>;

export function createMigrationSource({
  db,
  clock,
}: {
  db: Db;
  clock: Pick<Clock, 'monotonicMs'>;
}) {
  return {
    /** Reads events as they are stored. */
    openReader: (projectId: string, signal: AbortSignal) => openEventReader(db, projectId, signal),

    /** Follows what changes from a point on; refuses with LOG_COMPACTED. */
    follow: (followed: Followed, signal: AbortSignal) =>
      ChangeFollower.open(db, followed, { clock, signal }),
  };
}
