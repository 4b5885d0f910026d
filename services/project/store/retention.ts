import type { Index } from '@silo/mongo/indexes.ts';
import { bounded, collectionOptions, reading } from '@silo/mongo/read.ts';
import { transact } from '@silo/mongo/transaction-retry.ts';
import type { Db } from 'mongodb';
import type { ProjectDocument } from './documents.ts';
import { byTime, type CapturedEventDocument, collectionName, idOf } from './event-collection.ts';
import { projectFence } from './project-fence.ts';

/** A larger deletion would delay the inserts of others. */
const deletedAtOnce = 500;
const readAtOnce = 100;
const byRetention = 'by_retention';

/** The index of the projects with a retention. */
export const retentionIndex: Index = {
  key: { _id: 1, 'settings.retentionDays': 1 },
  name: byRetention,
  partialFilterExpression: { 'settings.retentionDays': { $gt: 0 } },
};

/** A project with a retention. */
export type Retaining = { projectId: string; retentionDays: number };

/** The project with MongoDB's time of the read. */
type Read = Retaining & { readTime: Date };

/** Removes events that are older than their project's retention. */
export type RetentionStore = ReturnType<typeof createRetentionStore>;

export function createRetentionStore(db: Db) {
  const projects = db.collection<ProjectDocument>('projects', collectionOptions);
  const events = db.collection<CapturedEventDocument>(collectionName, collectionOptions);
  const fenceHere = projectFence(db);
  return {
    /**
     * Returns the projects with a retention whose ids follow the given one; an empty list after the
     * last.
     */
    async next(afterId: string, signal: AbortSignal): Promise<Read[]> {
      const filter = { _id: { $gt: afterId }, 'settings.retentionDays': { $gt: 0 } };
      const options = {
        ...{ ...bounded, hint: byRetention, limit: readAtOnce, comment: 'loop: end-retention' },
        sort: { _id: 1 as const },
        projection: { 'settings.retentionDays': 1, readTime: '$$NOW' },
      };
      const query = projects.find<ProjectDocument & { readTime: Date }>(filter, options);
      const found = await reading(query.toArray(), signal);
      return found.map(({ _id, settings, readTime }) => ({
        projectId: _id,
        retentionDays: settings.retentionDays ?? 0,
        readTime,
      }));
    },

    /**
     * Removes some of a project's events from before a time, while the project is in this region
     * and its setting is the given one. Returns whether more of them may be left. Records in the
     * project that such events may be gone, even if its setting changes.
     */
    async removeSomeBefore(
      { projectId, retentionDays }: Retaining,
      time: Date,
      signal: AbortSignal,
    ): Promise<boolean> {
      const older = { '_id.project': projectId, time: { $lt: time } };
      const options = { ...bounded, hint: byTime, projection: { _id: 1 }, limit: deletedAtOnce };
      const found = await reading(events.find(older, options).toArray(), signal);
      if (found.length === 0) return false;
      const ids = found.map(({ _id }) => idOf(_id));
      const removed = transact(db.client, { signal }, async (session) => {
        // The setting may have changed since it was read.
        const asRead = { 'settings.retentionDays': retentionDays };
        if (!(await fenceHere({ session }, projectId, asRead))) return false;
        const expired = { $max: { expiredBefore: time } };
        await projects.updateOne({ _id: projectId }, expired, { session });
        await events.deleteMany({ _id: { $in: ids } }, { session });
        return true;
      });
      return (await reading(removed, signal)) && found.length === deletedAtOnce;
    },
  };
}
