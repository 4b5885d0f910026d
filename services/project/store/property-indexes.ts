import type { Transaction } from '@silo/log/event-log.ts';
import { leaseOn } from '@silo/mongo/lease.ts';
import { bounded, collectionOptions, reading } from '@silo/mongo/read.ts';
import { transact } from '@silo/mongo/transaction-retry.ts';
import { Budget } from '@silo/runtime/budget.ts';
import type { AnyBulkWriteOperation, Collection, Db, Filter, MongoClient } from 'mongodb';
import { checkFilter } from '../rules/events/filter.ts';
import { indexable, isScalar, placesMax } from '../rules/events/indexed-properties.ts';
import { ownProperty, parseObject } from '../rules/events/json-text.ts';
import type { PropertyIndex } from '../rules/property-indexes.ts';
import type { ProjectDocument } from './documents.ts';
import {
  type CapturedEventDocument,
  collectionName,
  idOf,
  indexedValue,
  keyOf,
  placeIndex,
} from './event-collection.ts';
import {
  type EventPosition,
  eventQueries,
  openCursors,
  positionOf,
  type StoredPosition,
  scan,
  storedPosition,
} from './event-queries.ts';
import { projectFence } from './project-fence.ts';
import type { StoredEvent } from './stored-event.ts';

/** Longer than a step takes: every step renews the lease. */
const leaseMs = 30_000;
/** Limits of one transaction. */
const stepBounds = { countMax: 250, bytesMax: 4 * 1024 * 1024 };
const unfinishedMax = 100;
/** How long to wait for an index. MongoDB continues to build it after that. */
const placeWithinMs = 10 * 60 * 1_000;

/**
 * The progress of the work on one place of a project; kept until the project is purged. Every step
 * writes it, so that two concurrent steps on a place never both commit: a process that was paused
 * fills no place that now belongs to another property.
 */
type WorkDocument = {
  /** `<project>/<place>`. */
  _id: string;
  owner: string;
  fence: number;
  until: Date;
  /** The index to which `after` belongs. */
  since?: number;
  /** The last event that was read. */
  after?: StoredPosition;
};

/** An index that is being built or removed. */
export type Unfinished = { projectId: string; index: PropertyIndex };

const lease = leaseOn('until');
const everything = checkFilter(undefined);

/** Stores the indexes of the properties that projects have chosen. */
export type PropertyIndexStore = ReturnType<typeof createPropertyIndexStore>;

export function createPropertyIndexStore({ client, db }: { client: MongoClient; db: Db }) {
  const projects: Collection<ProjectDocument> = db.collection('projects', collectionOptions);
  const works: Collection<WorkDocument> = db.collection('property_index_work', collectionOptions);
  const events: Collection<CapturedEventDocument> = db.collection(
    collectionName,
    collectionOptions,
  );

  const fenceHere = projectFence(db);

  /** Writes the values of some events. Returns where they end; undefined if none are left. */
  const fill = async (
    projectId: string,
    { name, place }: PropertyIndex,
    after: EventPosition | undefined,
    { session }: Pick<Transaction, 'session'>,
  ): Promise<EventPosition | undefined> => {
    const budget = new Budget(stepBounds);
    const writes: AnyBulkWriteOperation<CapturedEventDocument>[] = [];
    const take = (event: StoredEvent) => {
      if (!budget.take(event.sizeBytes)) return false;
      const object = parseObject(event.properties);
      const value = object && ownProperty(object, name);
      if (isScalar(value)) {
        const update = { $set: { [`x${place}`]: indexedValue(indexable(value)) } };
        writes.push({ updateOne: { filter: { _id: keyOf(projectId, event.uuidBytes) }, update } });
      }
      return true;
    };
    const queries = eventQueries(projectId, everything, after);
    const cursors = openCursors(events, queries, { session, batchSize: stepBounds.countMax + 1 });
    const last = await scan(cursors, take);
    if (writes.length > 0) await events.bulkWrite(writes, { session, ordered: false });
    return last;
  };

  /** Removes the values of some events. Returns whether there were any. */
  const clear = async (
    projectId: string,
    { place }: PropertyIndex,
    { session }: Pick<Transaction, 'session'>,
  ): Promise<boolean> => {
    const { name: hint = '' } = placeIndex(place);
    const filter: Filter<CapturedEventDocument> = {
      '_id.project': projectId,
      [`x${place}`]: { $exists: true },
    };
    const limit = stepBounds.countMax;
    const found = await events
      .find(filter, { session, hint, limit, projection: { _id: 1 } })
      .toArray();
    if (found.length === 0) return false;
    await events.updateMany(
      { _id: { $in: found.map(({ _id }) => idOf(_id)) } },
      { $unset: { [`x${place}`]: '' } },
      { session },
    );
    return true;
  };

  return {
    /** Returns the indexes of a project that contain the values of all its events. */
    async ready(projectId: string, signal: AbortSignal): Promise<PropertyIndex[]> {
      const projection = { propertyIndexes: 1 };
      const found = projects.findOne({ _id: projectId }, { ...bounded, projection });
      const { propertyIndexes = [] } = (await reading(found, signal)) ?? {};
      return propertyIndexes.filter(({ state }) => state === 'ready');
    },

    /**
     * Indexes that are not built, or not removed, yet: those of up to 100 projects, by project id,
     * after this one. Empty if there are none.
     */
    async unfinished(afterProjectId: string, signal: AbortSignal): Promise<Unfinished[]> {
      const filter = {
        _id: { $gt: afterProjectId },
        'propertyIndexes.state': { $in: ['building', 'removing'] as const },
      };
      const options = {
        ...{ ...bounded, projection: { propertyIndexes: 1 }, limit: unfinishedMax },
        // Not the index of `_id`, which would read all other projects.
        ...({ sort: { _id: 1 }, hint: { 'propertyIndexes.state': 1 } } as const),
        comment: 'loop: build-property-indexes',
      };
      const found = await reading(projects.find(filter, options).toArray(), signal);
      return found.flatMap(({ _id, propertyIndexes = [] }) =>
        propertyIndexes
          .filter(({ state }) => state !== 'ready')
          .map((index) => ({ projectId: _id, index })),
      );
    },

    /** Begins work on a place unless another process works on it. Returns the fence. */
    async acquire(
      { projectId, index }: Unfinished,
      owner: string,
      signal: AbortSignal,
    ): Promise<number | undefined> {
      const _id = workId(projectId, index.place);
      const free = { owner: '', fence: 0, until: new Date(0) };
      const options = { ...bounded, upsert: true };
      await reading(works.updateOne({ _id }, { $setOnInsert: free }, options), signal);
      const acquired = works.findOneAndUpdate(
        { _id, ...lease.isFree },
        lease.acquire(owner, leaseMs),
        { ...bounded, returnDocument: 'after' },
      );
      return (await reading(acquired, signal))?.fence;
    },

    async release({ projectId, index }: Unfinished, fence: number): Promise<void> {
      const held = { _id: workId(projectId, index.place), fence };
      await reading(works.updateOne(held, lease.release(), bounded));
    },

    /** Creates the index of a place, for all projects, if it is missing. */
    async createPlace(place: number, signal: AbortSignal): Promise<void> {
      const within = AbortSignal.any([signal, AbortSignal.timeout(placeWithinMs)]);
      await reading(events.createIndexes([placeIndex(place)]), within);
    },

    /**
     * Adds or removes the values of some events in one transaction. Returns whether more steps are
     * needed: the last step marks the index as ready, or frees its place. Begin only when no
     * capture uses an older choice of indexes any more.
     */
    async step(
      { projectId, index }: Unfinished,
      fence: number,
      signal: AbortSignal,
    ): Promise<boolean> {
      const { place, since, state } = index;
      const work = { _id: workId(projectId, place), fence };
      const unchanged = { propertyIndexes: { $elemMatch: { place, since, state } } };
      const present = { _id: projectId, ...unchanged };
      const run = transact(client, { signal }, async (session) => {
        const options = { session, returnDocument: 'after' } as const;
        const held = await works.findOneAndUpdate(work, lease.renew(leaseMs), options);
        if (held === null) return false;
        if (!(await fenceHere({ session }, projectId, unchanged))) return false;
        if (state === 'removing') {
          if (await clear(projectId, index, { session })) return true;
          const removed = { $pull: { propertyIndexes: { place, since } } };
          await projects.updateOne(present, removed, { session });
          return false;
        }
        const after = held.since === since && held.after ? positionOf(held.after) : undefined;
        const last = await fill(projectId, index, after, { session });
        if (last !== undefined) {
          const written = { since, after: storedPosition(last) };
          await works.updateOne(work, { $set: written }, { session });
          return true;
        }
        const ready = { $set: { 'propertyIndexes.$.state': 'ready' as const } };
        await projects.updateOne(present, ready, { session });
        return false;
      });
      return await reading(run, signal);
    },

    /** Removes the work documents of a purged project. */
    async purge(projectId: string, signal: AbortSignal): Promise<void> {
      const ids = Array.from({ length: placesMax }, (_, place) => workId(projectId, place));
      await reading(works.deleteMany({ _id: { $in: ids } }, bounded), signal);
    },
  };
}

function workId(projectId: string, place: number): string {
  return `${projectId}/${place}`;
}
