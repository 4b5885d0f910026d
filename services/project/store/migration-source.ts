import type { Clock } from '@silo/runtime/clock.ts';
import type { Db } from 'mongodb';
import { ChangeFollower, type Followed } from './migration-changes.ts';
import { openEventReader } from './migration-events.ts';

/** Reads a project's events for another region. */
export type MigrationSource = ReturnType<typeof createMigrationSource>;

export function createMigrationSource({
  db,
  clock,
}: {
  db: Db;
  clock: Pick<Clock, 'monotonicMs'>;
}) {
  return {
    /** Reads stored events. */
    openReader: (projectId: string, signal: AbortSignal) => openEventReader(db, projectId, signal),

    /** Follows changes from a position on. Refuses with LOG_COMPACTED. */
    follow: (followed: Followed, signal: AbortSignal) =>
      ChangeFollower.open(db, followed, { clock, signal }),
  };
}
