import { bounded, collectionOptions, reading } from '@silo/mongo/read.ts';
import { transact } from '@silo/mongo/transaction-retry.ts';
import type { Db, Filter } from 'mongodb';
import type { MigrationDocument } from './documents.ts';
import { byTime, type CapturedEventDocument, collectionName, idOf } from './event-collection.ts';
import { migrationCollection } from './migrations.ts';

/** A larger deletion would delay the inserts of others. */
const removedAtOnce = 500;

/** Removes the events of a project that is not in this region. */
export type EventRemoval = ReturnType<typeof createEventRemoval>;

export function createEventRemoval(db: Db) {
  const migrations = migrationCollection(db);
  const events = db.collection<CapturedEventDocument>(collectionName, collectionOptions);

  return {
    /**
     * Removes all events of a migration's project while its record is open and as expected. Each
     * batch writes the record, so that a process that was paused removes no event of a later
     * migration. Returns false if the record is not as expected any more.
     */
    async removeAll(
      { _id, projectId }: Pick<MigrationDocument, '_id' | 'projectId'>,
      expected: Filter<MigrationDocument>,
      signal: AbortSignal,
    ): Promise<boolean> {
      const options = { ...bounded, hint: byTime, projection: { _id: 1 }, limit: removedAtOnce };
      const open = { ...expected, _id, isOpen: true as const };
      for (;;) {
        signal.throwIfAborted();
        const query = events.find({ '_id.project': projectId }, options);
        const found = await reading(query.toArray(), signal);
        const ids = found.map((event) => idOf(event._id));
        const removed = transact(db.client, { signal }, async (session) => {
          const oneMore = { $inc: { revision: 1 } };
          const { matchedCount } = await migrations.updateOne(open, oneMore, { session });
          if (matchedCount === 0) return false;
          if (ids.length > 0) await events.deleteMany({ _id: { $in: ids } }, { session });
          return true;
        });
        if (!(await reading(removed, signal))) return false;
        if (ids.length === 0) return true;
      }
    },
  };
}
