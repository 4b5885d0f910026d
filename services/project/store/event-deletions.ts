import { errors } from '@silo/errors/errors.ts';
import type { Transaction } from '@silo/log/event-log.ts';
import { fromMongo } from '@silo/mongo/from-mongo.ts';
import type { Index } from '@silo/mongo/indexes.ts';
import { bounded, collectionOptions, reading } from '@silo/mongo/read.ts';
import { retentionSeconds } from '@silo/mongo/retention.ts';
import { fromUnknownCommit, transact } from '@silo/mongo/transaction-retry.ts';
import { EventFilter } from '@silo/protos/gen/silo/project/v1/event.ts';
import { ProjectState } from '@silo/protos/gen/silo/project/v1/project.ts';
import type { Binary, Collection, Db, Filter } from 'mongodb';
import { type Deletion, isCovered, openDeletionsMax } from '../rules/events/deletions.ts';
import { checkFilter } from '../rules/events/filter.ts';
import type { ProjectDocument } from './documents.ts';
import {
  bytesOf,
  type CapturedEventDocument,
  collectionName,
  type EventBatch,
  keyOf,
  uuidBytes,
} from './event-collection.ts';
import {
  batchesOf,
  eventQueries,
  openCursors,
  positionOf,
  type StoredPosition,
  scan,
  storedPosition,
} from './event-queries.ts';
import { projectFence } from './project-fence.ts';
import { StoredEvent } from './stored-event.ts';

const deletionsName = 'event_deletions';
/** A larger removal would delay the captures of others. */
const removedAtOnce = 500;
/** Each deletion has a filter of at most 16 KiB. */
const laterMax = 100;

/** A deletion of events as stored: the receipt, and the progress of the removal. */
export type EventDeletionDocument = {
  _id: string;
  projectId: string;
  /** The deletion covers events of earlier generations. */
  generation: number;
  /** The encoded EventFilter. */
  filter: Binary | Uint8Array;
  actorAccountId: string;
  createTime: Date;
  /** Number of events removed so far. */
  removedCount: number;
  /** Position at which the removal continues; absent: at the beginning. */
  after?: StoredPosition;
  /** All captures of earlier generations have ended: only then may the removal finish. */
  isSettled?: true;
  /** Set until all covered events are removed. */
  isOpen?: true;
  finishTime?: Date;
  /**
   * Replaces `finishTime`, so that the document does not expire, while the purge of a source may
   * need it.
   */
  keptFinishTime?: Date;
};

/** Finished deletions expire by TTL, except those that are kept. */
export const eventDeletionIndexes: Readonly<Record<string, readonly Index[]>> = {
  [deletionsName]: [
    { key: { projectId: 1, isOpen: 1 } },
    { key: { projectId: 1, generation: 1 } },
    { key: { isOpen: 1, createTime: 1 }, partialFilterExpression: { isOpen: { $exists: true } } },
    { key: { finishTime: 1 }, expireAfterSeconds: retentionSeconds.eventDeletion },
  ],
};

/** The deletions of events. */
export type EventDeletionStore = ReturnType<typeof createEventDeletionStore>;

export function createEventDeletionStore(db: Db) {
  const deletions: Collection<EventDeletionDocument> = db.collection(
    deletionsName,
    collectionOptions,
  );
  const projects: Collection<ProjectDocument> = db.collection('projects', collectionOptions);
  const events: Collection<CapturedEventDocument> = db.collection(
    collectionName,
    collectionOptions,
  );
  const fenceHere = projectFence(db);

  return {
    /**
     * Begins a generation of events of an organization's active project: captures authorized from
     * now on belong to it. Returns the project; undefined if there is none.
     */
    async beginGeneration(
      tx: Transaction,
      organizationId: string,
      projectId: string,
    ): Promise<ProjectDocument | undefined> {
      const begun = await projects.findOneAndUpdate(
        { _id: projectId, organizationId, state: ProjectState.PROJECT_STATE_ACTIVE },
        { $set: { updateTime: tx.now }, $inc: { revision: 1, eventGeneration: 1 } },
        { session: tx.session, returnDocument: 'after' },
      );
      return begun ?? undefined;
    },

    /**
     * Whether the project has its maximum of open deletions. A transaction that then begins a
     * generation adds at most one: of two concurrent ones only one commits.
     */
    async isFull({ session }: Transaction, projectId: string): Promise<boolean> {
      const filter = { projectId, isOpen: true as const };
      return (await deletions.countDocuments(filter, { session })) >= openDeletionsMax;
    },

    async insert({ session }: Transaction, deletion: EventDeletionDocument): Promise<void> {
      await deletions.insertOne(deletion, { session });
    },

    async get(
      projectId: string,
      deletionId: string,
      signal: AbortSignal,
    ): Promise<EventDeletionDocument | undefined> {
      const filter = { _id: deletionId, projectId };
      return (await reading(deletions.findOne(filter, bounded), signal)) ?? undefined;
    },

    /**
     * The open deletions of a project. `generation` is that of the caller's fact: 0 means that
     * there was no deletion. A server that only knows an earlier generation is behind
     * (DEPENDENCY_UNAVAILABLE).
     */
    async open(projectId: string, generation: number, signal: AbortSignal): Promise<Deletion[]> {
      if (generation === 0) return [];
      // One command, so that the same server answers both.
      const found = projects.aggregate<{ eventGeneration?: number; open: EventDeletionDocument[] }>(
        [
          { $match: { _id: projectId } },
          {
            $lookup: {
              from: deletionsName,
              localField: '_id',
              foreignField: 'projectId',
              pipeline: [{ $match: { isOpen: true } }],
              as: 'open',
            },
          },
          { $project: { eventGeneration: 1, open: 1 } },
        ],
        bounded,
      );
      const [project] = await reading(found.toArray(), signal);
      if (project === undefined || (project.eventGeneration ?? 0) < generation) {
        throw errors.dependencyUnavailable('mongodb', new Error('the server is behind'));
      }
      return project.open.map(deletionOf);
    },

    /** Whether a project has deletions whose events are not all removed yet. */
    async hasOpen(tx: Transaction, projectId: string): Promise<boolean> {
      const { session } = tx;
      const filter = { projectId, isOpen: true as const };
      return (await deletions.countDocuments(filter, { session, limit: 1 })) > 0;
    },

    /** The deletions of a project after a generation, open or not, in order, up to a limit. */
    async later(
      projectId: string,
      generation: number,
      signal: AbortSignal,
    ): Promise<EventDeletionDocument[]> {
      const filter = { projectId, generation: { $gt: generation } };
      const options = { ...bounded, sort: { generation: 1 as const }, limit: laterMax };
      return await reading(deletions.find(filter, options).toArray(), signal);
    },

    /** Deletions that have events to remove, oldest first. */
    async unfinished(
      { limit, except = [] }: { limit: number; except?: readonly string[] },
      signal: AbortSignal,
    ): Promise<EventDeletionDocument[]> {
      const found = deletions.find(
        { isOpen: true, _id: { $nin: [...except] } },
        { ...bounded, sort: { createTime: 1 }, limit },
      );
      return await reading(found.toArray(), signal);
    },

    /** Notes that all captures of earlier generations have ended. */
    async settle(deletionId: string, signal: AbortSignal): Promise<void> {
      const settled = deletions.updateOne(
        { _id: deletionId },
        { $set: { isSettled: true } },
        bounded,
      );
      await reading(settled, signal);
    },

    /**
     * Removes some of the events of a settled deletion, and returns its new state. Returns
     * undefined if another process was faster or the project is not in this region. Finishes the
     * deletion if no events are left.
     */
    async removeSome(
      deletion: EventDeletionDocument,
      now: Date,
      signal: AbortSignal,
    ): Promise<EventDeletionDocument | undefined> {
      const { _id, projectId } = deletion;
      const after = deletion.after && positionOf(deletion.after);
      const { generation, filter } = deletionOf(deletion);
      const ids: CapturedEventDocument['_id'][] = [];
      const isToRemove = coveredBy(deletion);
      const take = (event: StoredEvent) => {
        if (ids.length === removedAtOnce) return false;
        if (isToRemove(event)) ids.push(keyOf(projectId, event.uuidBytes));
        return true;
      };
      const cursors = openCursors(events, eventQueries(projectId, filter, after));
      const next = await reading(scan(cursors, take), signal);
      const decided = transact(db.client, { signal }, async (session) => {
        // Only if unchanged: another process may have continued.
        const read = after ? storedPosition(after) : { $exists: false };
        const same = { _id, isOpen: true as const, after: read };
        if (!(await fenceHere({ session }, projectId))) return undefined;
        if ((await deletions.findOne(same, { session })) === null) return undefined;
        const removed = await events.deleteMany(earlier(ids, generation), { session });
        const project = await projects.findOne({ _id: projectId }, { session });
        const finished = project?.cameBy ? { keptFinishTime: now } : { finishTime: now };
        const changed = await deletions.findOneAndUpdate(
          { _id },
          {
            ...(next
              ? { $set: { after: storedPosition(next) } }
              : { $set: finished, $unset: { isOpen: '', after: '' } }),
            $inc: { removedCount: removed.deletedCount },
          },
          { session, returnDocument: 'after' },
        );
        return changed ?? undefined;
      });
      return await settled(decided);
    },

    /**
     * Removes stored events of a batch that open deletions cover, so that they can be captured
     * again.
     */
    async free(
      { projectId, generation, events: captured }: EventBatch,
      signal: AbortSignal,
    ): Promise<void> {
      if (generation === 0) return;
      const decided = transact(db.client, { signal }, async (session) => {
        const open = await deletions.find({ projectId, isOpen: true }, { session }).toArray();
        if (open.length === 0 || !(await fenceHere({ session }, projectId))) return;
        const removals = open.map((deletion) => ({
          deletionId: deletion._id,
          isToRemove: coveredBy(deletion),
          ids: [] as CapturedEventDocument['_id'][],
        }));
        const _id = { $in: captured.map(({ uuid }) => keyOf(projectId, uuidBytes(uuid))) };
        const there = events.find<Uint8Array>({ _id }, { session, raw: true });
        for await (const documents of batchesOf(there)) {
          for (const event of documents.map((document) => new StoredEvent(document))) {
            const id = keyOf(projectId, event.uuidBytes);
            for (const { isToRemove, ids } of removals) if (isToRemove(event)) ids.push(id);
          }
        }
        for (const { deletionId, ids } of removals) {
          if (ids.length === 0) continue;
          const { deletedCount } = await events.deleteMany(earlier(ids, generation), { session });
          const $inc = { removedCount: deletedCount };
          await deletions.updateOne({ _id: deletionId }, { $inc }, { session });
        }
      });
      await settled(decided);
    },

    /**
     * Lets deletions of a project expire from now on: no region compares its copy with this one's
     * any more. If a migration is given, only if it is the one that brought the project.
     */
    async release({ session }: Transaction, projectId: string, cameBy?: string): Promise<void> {
      // This update conflicts with the transaction that finishes a deletion.
      const project = { _id: projectId, ...(cameBy !== undefined && { cameBy }) };
      const left = { $unset: { cameBy: '' as const } };
      const { matchedCount } = await projects.updateOne(project, left, { session });
      if (matchedCount === 0) return;
      const kept = { projectId, keptFinishTime: { $exists: true } };
      const ending = [{ $set: { finishTime: '$keptFinishTime' } }, { $unset: 'keptFinishTime' }];
      await deletions.updateMany(kept, ending, { session });
    },

    /** Removes the deletions of a purged project. */
    async purge(projectId: string, signal: AbortSignal): Promise<void> {
      await reading(deletions.deleteMany({ projectId }, bounded), signal);
    },
  };
}

function deletionOf({ generation, filter }: EventDeletionDocument): Deletion {
  return { generation, filter: checkFilter(EventFilter.decode(bytesOf(filter))) };
}

function coveredBy(deletion: EventDeletionDocument): (event: StoredEvent) => boolean {
  const deletions = [deletionOf(deletion)];
  return (event) => isCovered(deletions, event);
}

/** Matches the generation, too: a removed event may have been captured again since. */
function earlier(
  ids: CapturedEventDocument['_id'][],
  generation: number,
): Filter<CapturedEventDocument> {
  return { _id: { $in: ids }, generation: { $not: { $gte: generation } } };
}

async function settled<T>(transaction: Promise<T>): Promise<T> {
  try {
    return await transaction;
  } catch (error) {
    throw fromMongo(fromUnknownCommit(error));
  }
}
