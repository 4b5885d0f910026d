import type { Transaction } from '@silo/log/event-log.ts';
import { releasedEvent } from '../events.ts';
import type { AttemptStore } from '../store/attempts.ts';
import type { MigrationDocument } from '../store/documents.ts';
import type { MigratingProjectStore } from '../store/migrating-projects.ts';

/** The attempt to end, and the reason. */
type Ending = {
  record: Pick<MigrationDocument, '_id'>;
  attempt: number;
  /** The reason, for people. */
  failure: string;
  /** If set, only ends an attempt that began at least this long ago, by the database's clock. */
  onlyAfterMs?: number;
};

/**
 * Ends an uncommitted attempt: the project stays in use here. Returns the record; undefined if the
 * attempt had ended before.
 */
export async function releaseHold(
  {
    attempts,
    migratingProjects,
  }: { attempts: AttemptStore; migratingProjects: MigratingProjectStore },
  tx: Transaction,
  { record, attempt, failure, onlyAfterMs }: Ending,
): Promise<MigrationDocument | undefined> {
  const ended = await attempts.end(tx, record._id, attempt, { failure, onlyAfterMs });
  if (ended === undefined) return undefined;
  const { projectId, actor } = ended;
  const project = await migratingProjects.activate(tx, projectId);
  if (project === undefined) throw new TypeError(`${projectId} is not held`);
  tx.emit(releasedEvent(project, { migrationId: record._id }, { actor, tx }));
  return ended;
}

/** How long the last ended attempt held captures. */
export function heldSeconds({ lastHoldMs = 0 }: Pick<MigrationDocument, 'lastHoldMs'>): number {
  return lastHoldMs / 1_000;
}
