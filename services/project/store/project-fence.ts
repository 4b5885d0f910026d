import type { Transaction } from '@silo/log/event-log.ts';
import { collectionOptions } from '@silo/mongo/read.ts';
import { ProjectState } from '@silo/protos/gen/silo/project/v1/project.ts';
import type { Db, Filter } from 'mongodb';
import type { ProjectDocument } from './documents.ts';

const here = [ProjectState.PROJECT_STATE_ACTIVE, ProjectState.PROJECT_STATE_DELETED];

/**
 * Returns whether the project is active in this region, or deleted and restorable, and as given,
 * until the transaction commits.
 */
export type FenceHere = (
  tx: Pick<Transaction, 'session'>,
  projectId: string,
  given?: Filter<ProjectDocument>,
) => Promise<boolean>;

/**
 * Every transaction that changes events without a permit calls this first, and changes nothing if
 * it returns false. It writes the project's document, as every change that ends access does: of two
 * concurrent ones, only one commits. So a process that was paused changes no event of a project
 * that has left the region.
 */
export function projectFence(db: Db): FenceHere {
  const projects = db.collection<ProjectDocument>('projects', collectionOptions);
  return async ({ session }, projectId, given = {}) => {
    const held = { ...given, _id: projectId, state: { $in: here } };
    const { matchedCount } = await projects.updateOne(held, { $inc: { fence: 1 } }, { session });
    return matchedCount === 1;
  };
}
