import type { Transaction } from '@silo/log/event-log.ts';
import type { Position } from '@silo/log/position.ts';
import { fromMongo, isDuplicateKey } from '@silo/mongo/from-mongo.ts';
import type { Migration } from '@silo/mongo/migrations.ts';
import { type Page, readPage } from '@silo/mongo/page.ts';
import { bounded, collectionOptions, reading } from '@silo/mongo/read.ts';
import type { Db } from 'mongodb';
import type { Entry } from '../rules/activity-entry.ts';

/** An entry with its sequence in its own log, which orders entries of the same instant. */
export type ActivityDocument = Omit<Entry, 'id' | 'undoOf'> & {
  _id: string;
  /** Absent in entries that were stored before moves could be undone. */
  undoOf?: string | undefined;
  sequence: number;
};

/** A page begins after this entry, newest first. */
export type ActivityPosition = { time: Date; sequence: number; id: string };

/** The activity log and its position in each event log. */
export type ActivityStore = ReturnType<typeof createActivityStore>;

/** The services whose event logs the activity log follows. */
export const followedServices = ['org', 'project', 'token', 'billing'] as const;
export type FollowedService = (typeof followedServices)[number];

/** Creates the missing positions, at the start of each log. */
export const followFromStart: Migration = {
  name: 'activity-positions',
  isDone: async (db) => {
    // A newer release may follow further logs.
    const ours = { _id: { $in: [...followedServices] } };
    const count = await positionsOf(db).countDocuments(ours, bounded);
    return count === followedServices.length;
  },
  run: async (db) => {
    for (const _id of followedServices) {
      const beginning = { sequence: 0, incarnation: '' };
      try {
        await positionsOf(db).updateOne({ _id }, { $setOnInsert: beginning }, { upsert: true });
      } catch (error) {
        if (!isDuplicateKey(error)) throw fromMongo(error); // another process was first
      }
    }
  },
};

function positionsOf(db: Db) {
  return db.collection<Position & { _id: string }>('activity_positions', collectionOptions);
}

/** Opens the activity log in the service's database. */
export function createActivityStore(db: Db) {
  const entries = db.collection<ActivityDocument>('activity', collectionOptions);
  const positions = positionsOf(db);
  return {
    async position(service: FollowedService, signal: AbortSignal): Promise<Position> {
      const found = await reading(positions.findOne({ _id: service }, bounded), signal);
      if (found === null) throw new TypeError(`the log of ${service} is not followed`);
      return { sequence: found.sequence, incarnation: found.incarnation };
    },

    /**
     * Moves from one position to the next and stores the entries between them. Returns false if
     * another process was faster.
     */
    async advance(
      { session }: Transaction,
      service: FollowedService,
      step: { from: Position; to: Position; between: readonly ActivityDocument[] },
    ): Promise<boolean> {
      const { from, to, between } = step;
      const { matchedCount } = await positions.updateOne(
        { _id: service, ...from },
        { $set: to },
        { session },
      );
      if (matchedCount === 0) return false;
      if (between.length === 0) return true;
      // Events are delivered again after a backup is restored. The same event has the same entry.
      await entries.bulkWrite(
        between.map((entry) => ({
          replaceOne: { filter: { _id: entry._id }, replacement: entry, upsert: true },
        })),
        { session },
      );
      return true;
    },

    /**
     * A page of the entries that one organization sees, optionally of one project; newest first.
     */
    async list(
      organizationId: string,
      page: {
        projectId?: string | undefined;
        after?: ActivityPosition | undefined;
        size: number;
      },
      signal: AbortSignal,
    ): Promise<Page<ActivityDocument>> {
      const { projectId, after, size } = page;
      const older = after && [
        { time: { $lt: after.time } },
        { time: after.time, sequence: { $lt: after.sequence } },
        { time: after.time, sequence: after.sequence, _id: { $lt: after.id } },
      ];
      const filter = {
        organizationIds: organizationId,
        ...(projectId && { projectId }),
        ...(older && { $or: older }),
      };
      const query = entries.find(filter, bounded).sort({ time: -1, sequence: -1, _id: -1 });
      return await readPage(query, size, signal);
    },
  };
}
