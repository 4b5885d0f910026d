import type { Transaction } from '@silo/log/event-log.ts';
import { releasedEvent } from '../events.ts';
import type { AttemptStore } from '../store/attempts.ts';
import type { MigrationDocument } from '../store/documents.ts';
import type { MigratingProjectStore } from '../store/migrating-projects.ts';

/** Which attempt ends, and why. */
type Ending = {
  record: Pick<MigrationDocument, '_id'>;
  attempt: number;
  /** For people. */
  failure: string;
  /** Only an attempt that began at least this long ago, by the database's clock; undefined: any. */
  onlyAfterMs?: number;
};

/**
 * Ends an attempt that is not committed: the project goes on here. Answers the record; undefined: it had
 * ended before.
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

/** For how long an attempt that has ended has held captures. */
export function heldSeconds({ lastHoldMs = 0 }: Pick<MigrationDocument, 'lastHoldMs'>): number {
  return lastHoldMs / 1_000;
}
