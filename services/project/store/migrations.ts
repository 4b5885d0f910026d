import { errors } from '@silo/errors/errors.ts';
import type { Transaction } from '@silo/log/event-log.ts';
import { removeLeases } from '@silo/log/leader.ts';
import { isDuplicateKey } from '@silo/mongo/from-mongo.ts';
import type { Index } from '@silo/mongo/indexes.ts';
import { readLinearizable } from '@silo/mongo/linearizable.ts';
import { type Page, readPage } from '@silo/mongo/page.ts';
import type { Place } from '@silo/mongo/pulse.ts';
import { bounded, collectionOptions, reading } from '@silo/mongo/read.ts';
import { retentionSeconds } from '@silo/mongo/retention.ts';
import {
  type MigrationProgress,
  MigrationState,
} from '@silo/protos/gen/silo/project/v1/migration.ts';
import type { Collection, Db, Filter } from 'mongodb';
import { isOver, statesBefore } from '../rules/migration-states.ts';
import type { MigrationDocument } from './documents.ts';

/**
 * `migrations` is the collection in which each service records the upgrades of its own database.
 */
export const migrationsName = 'project_migrations';

const { MIGRATION_STATE_DONE: done, MIGRATION_STATE_CUTOVER: cutover } = MigrationState;

/** Matches migrations that are not postponed, or no longer. */
const isDue = { $expr: { $lte: [{ $ifNull: ['$putOff.until', new Date(0)] }, '$$NOW'] } };

export const migrationIndexes: Readonly<Record<string, readonly Index[]>> = {
  [migrationsName]: [
    {
      key: { projectId: 1 },
      unique: true,
      name: 'open_by_project',
      partialFilterExpression: { isOpen: { $exists: true } },
    },
    {
      key: { side: 1, state: 1 },
      name: 'open_by_state',
      partialFilterExpression: { isOpen: { $exists: true } },
    },
    { key: { projectId: 1, side: 1 } },
    { key: { organizationId: 1, requestTime: -1, _id: -1 } },
    { key: { requestTime: -1, _id: -1 } },
    { key: { goneTime: 1 }, expireAfterSeconds: retentionSeconds.goneMigration },
  ],
};

/** The place of open migrations; the condition on the sides selects the partial index. */
export const openMigration: Place = {
  collection: migrationsName,
  filter: { isOpen: true, side: { $in: ['source', 'destination'] } },
};

/** Identifies a record, and determines its possible state changes. */
export type MigrationKey = Pick<MigrationDocument, '_id' | 'side'>;

/** The fields that a change of a record sets or removes. */
export type MigrationValues = Partial<Omit<MigrationDocument, '_id' | 'side' | 'revision'>>;

/** A position in the order of a list. */
export type MigrationPlace = { requestTime: Date; id: string };

/** Selects open records. */
export type OpenRecords = {
  side: MigrationDocument['side'];
  states: readonly MigrationState[];
  sourceRegion?: string;
  destinationRegion?: string;
};

/** Stores the records of migrations. */
export type MigrationStore = ReturnType<typeof createMigrationStore>;

export function createMigrationStore(db: Db) {
  const migrations = migrationCollection(db);

  /** Records the end of a rollback in the record of the migration that it reverts. */
  const noteRollbackEnd = async (
    { session }: Transaction,
    { _id, rollbackOf, state }: MigrationDocument,
  ): Promise<void> => {
    if (rollbackOf === undefined || !isOver(state)) return;
    const ended = { isRollingBack: '' as const };
    await migrations.updateOne(
      { _id: rollbackOf, rolledBackBy: _id },
      {
        $unset: state === done ? ended : { ...ended, rolledBackBy: '' as const },
        $inc: { revision: 1 },
      },
      { session },
    );
  };

  return {
    /** Returns the open record of a project. */
    async findOpen(projectId: string, signal: AbortSignal): Promise<MigrationDocument | undefined> {
      const query = migrations.findOne({ projectId, isOpen: true }, bounded);
      return (await reading(query, signal)) ?? undefined;
    },

    /** Stores a record. Refuses with REQUEST_IN_PROGRESS if a concurrent call has stored one. */
    async insert(tx: Transaction, migration: MigrationDocument): Promise<void> {
      try {
        await migrations.insertOne(migration, { session: tx.session });
      } catch (error) {
        throw isDuplicateKey(error) ? errors.requestInProgress() : error;
      }
    },

    /** Returns a record of any organization, by a linearizable read; the caller checks access. */
    async find(id: string, signal: AbortSignal): Promise<MigrationDocument | undefined> {
      return (await readLinearizable(migrations, { _id: id }, { signal })) ?? undefined;
    },

    /** Returns a record as of the transaction. */
    async read(tx: Transaction, id: string): Promise<MigrationDocument | undefined> {
      return (await migrations.findOne({ _id: id }, { session: tx.session })) ?? undefined;
    },

    /** Returns the open record of a project as of the transaction. */
    async readOpen(tx: Transaction, projectId: string): Promise<MigrationDocument | undefined> {
      const filter = { projectId, isOpen: true as const };
      return (await migrations.findOne(filter, { session: tx.session })) ?? undefined;
    },

    /**
     * Writes a record in any state; undefined if it is not as expected. If it opens the record,
     * refuses with REQUEST_IN_PROGRESS if a concurrent call has opened another.
     */
    async write(
      tx: Transaction,
      { _id, side }: MigrationKey,
      values: MigrationValues,
      expected: Filter<MigrationDocument> = {},
    ): Promise<MigrationDocument | undefined> {
      try {
        const written = await migrations.findOneAndUpdate(
          { ...expected, _id, side },
          changeOf(values),
          { session: tx.session, returnDocument: 'after' },
        );
        if (written !== null && values.state !== undefined) await noteRollbackEnd(tx, written);
        return written ?? undefined;
      } catch (error) {
        throw isDuplicateKey(error) ? errors.requestInProgress() : error;
      }
    },

    /** Changes the state of a record if its present state allows it; otherwise undefined. */
    async become(
      tx: Transaction,
      { _id, side }: MigrationKey,
      state: MigrationState,
      values: MigrationValues = {},
      expected: Filter<MigrationDocument> = {},
    ): Promise<MigrationDocument | undefined> {
      const changed = await migrations.findOneAndUpdate(
        { ...expected, _id, side, state: { $in: statesBefore(side, state) } },
        changeOf({ ...values, state }),
        { session: tx.session, returnDocument: 'after' },
      );
      if (changed !== null) await noteRollbackEnd(tx, changed);
      return changed ?? undefined;
    },

    /**
     * Lets a process work on an open migration to this region; undefined if a later process does,
     * or if the migration is postponed.
     */
    async claim(
      id: string,
      fence: number,
      signal: AbortSignal,
    ): Promise<MigrationDocument | undefined> {
      const claimed = migrations.findOneAndUpdate(
        {
          ...{ _id: id, side: 'destination', isOpen: true, fence: { $not: { $gt: fence } } },
          $or: [{ state: cutover }, isDue],
        },
        { $set: { fence } },
        { ...bounded, returnDocument: 'after' },
      );
      return (await reading(claimed, signal)) ?? undefined;
    },

    /** Notes why the work failed, and how long other migrations have their turn. */
    async putOff(
      { _id, side }: MigrationKey,
      { tries, pauseMs, why }: { tries: number; pauseMs: number; why: string },
      expected: Filter<MigrationDocument>,
      signal: AbortSignal,
    ): Promise<void> {
      // By the database's clock, because every process of this region waits for it.
      const until = { $add: ['$$NOW', Math.ceil(pauseMs)] };
      const putOff = { tries, until, why: { $literal: why } };
      const revision = { $add: ['$revision', 1] };
      const noted = migrations.updateOne(
        { ...expected, _id, side },
        [{ $set: { putOff, revision } }],
        bounded,
      );
      await reading(noted, signal);
    },

    /**
     * Returns open migrations to this region in the given states, except those that are postponed
     * and `except`: first those that never were postponed, then by the end of their postponement.
     */
    async due(
      states: readonly MigrationState[],
      { except, limit }: { except: readonly string[]; limit: number },
      signal: AbortSignal,
    ): Promise<Pick<MigrationDocument, '_id'>[]> {
      const open = { isOpen: true as const, side: 'destination' as const };
      const filter = { ...open, state: { $in: [...states] }, _id: { $nin: [...except] }, ...isDue };
      const sort = { 'putOff.until': 1 } as const;
      const options = { ...bounded, sort, limit, comment: 'loop: migrations' };
      return await reading(migrations.find(filter, options).toArray(), signal);
    },

    /**
     * Writes the progress; if the work continues, also clears the reason of its postponement.
     * Returns undefined if a later process works on the migration. An undefined `secondsLeft` is
     * removed.
     */
    async report(
      { _id, fence }: Pick<MigrationDocument, '_id' | 'fence'>,
      progress: Partial<MigrationProgress>,
      signal: AbortSignal,
      { goesOn = false } = {},
    ): Promise<MigrationDocument | undefined> {
      const values = Object.entries(progress)
        .filter(([, value]) => value !== undefined)
        .map(([name, value]) => [`progress.${name}`, value]);
      const isUnknown = 'secondsLeft' in progress && progress.secondsLeft === undefined;
      const reported = migrations.findOneAndUpdate(
        { _id, side: 'destination', fence },
        {
          ...{ $set: Object.fromEntries(values), $inc: { revision: 1 } },
          $unset: {
            ...(goesOn && { 'putOff.why': '' as const }),
            ...(isUnknown && { 'progress.secondsLeft': '' as const }),
          },
        },
        { ...bounded, returnDocument: 'after' },
      );
      return (await reading(reported, signal)) ?? undefined;
    },

    /**
     * Notes in all records of a project that it is purged, removes its name from them, and removes
     * the leases of its closed migrations to this region. The lease of an open one ends with its
     * work, because a new lease would begin at a lower fence.
     */
    async noteProjectPurged(projectId: string, signal: AbortSignal): Promise<void> {
      const hasCome = { $and: [{ $eq: ['$side', 'destination'] }, { $eq: ['$state', done] }] };
      const values = {
        goneTime: { $ifNull: ['$goneTime', '$$NOW'] },
        projectName: '$projectId',
        isProjectPurged: { $cond: [hasCome, true, '$$REMOVE'] },
        revision: { $add: ['$revision', 1] },
      };
      await reading(migrations.updateMany({ projectId }, [{ $set: values }], bounded), signal);
      const closed = { projectId, isOpen: { $exists: false } };
      const ids = await reading(migrations.distinct('_id', closed, bounded), signal);
      await removeLeases(db, ids, signal);
    },

    /**
     * Returns migrations whose source is to be purged, except those that are postponed and
     * `except`: first those that never were postponed, then by the end of their postponement.
     */
    async purging(
      except: { ids: readonly string[]; regions: readonly string[] },
      limit: number,
      signal: AbortSignal,
    ): Promise<MigrationDocument[]> {
      const filter: Filter<MigrationDocument> = {
        ...{ isOpen: true, side: 'source', isPurging: true, ...isDue },
        ...{ _id: { $nin: except.ids }, destinationRegion: { $nin: except.regions } },
      };
      const sort = { 'putOff.until': 1 } as const;
      const options = { ...bounded, sort, limit, comment: 'loop: purge-sources' };
      return await reading(migrations.find(filter, options).toArray(), signal);
    },

    /** Returns a page of an organization's migrations, or of all, newest first. */
    async list(
      organizationId: string | undefined,
      { after, size }: { after: MigrationPlace | undefined; size: number },
      signal: AbortSignal,
    ): Promise<Page<MigrationDocument>> {
      const filter: Filter<MigrationDocument> = {
        ...(organizationId !== undefined && { organizationId }),
        ...(after !== undefined && {
          $or: [
            { requestTime: { $lt: after.requestTime } },
            { requestTime: after.requestTime, _id: { $lt: after.id } },
          ],
        }),
      };
      const query = migrations.find(filter, bounded).sort({ requestTime: -1, _id: -1 });
      return await readPage(query, size, signal);
    },

    /** Whether any record is open. */
    async hasOpen(signal: AbortSignal): Promise<boolean> {
      const options = { ...bounded, projection: { _id: 1 }, comment: 'loop: migrations' };
      return (await reading(migrations.findOne(openMigration.filter, options), signal)) !== null;
    },

    /** Returns the finished migration of a project from this region that was committed last. */
    async lastFrom(projectId: string, signal: AbortSignal): Promise<MigrationDocument | undefined> {
      const filter = { projectId, side: 'source' as const, state: done };
      // The database has set the commit times, but the processes have set the request times.
      const sort = { commitTime: -1, requestTime: -1, _id: -1 } as const;
      const query = migrations.find(filter, bounded).sort(sort).limit(1);
      return (await reading(query.toArray(), signal)).at(0);
    },

    /**
     * Returns a page of the open records of one side in the given states, from one other region or
     * all, by id after the given one; '' for the first page. They are sorted in memory: there are
     * never many.
     */
    async openAfter(
      after: string,
      { side, states, ...regions }: OpenRecords,
      limit: number,
      signal: AbortSignal,
    ): Promise<MigrationDocument[]> {
      const filter: Filter<MigrationDocument> = {
        ...{ isOpen: true, side, state: { $in: [...states] }, _id: { $gt: after } },
        ...regions,
      };
      const options = { ...bounded, sort: { _id: 1 } as const, limit, comment: 'loop: migrations' };
      return await reading(migrations.find(filter, options).toArray(), signal);
    },

    /** Open records of one side in some states. */
    async open(
      side: MigrationDocument['side'],
      states: readonly MigrationState[],
      limit: number,
      signal: AbortSignal,
    ): Promise<MigrationDocument[]> {
      const filter = { isOpen: true as const, side, state: { $in: [...states] } };
      const options = { ...bounded, limit, comment: 'loop: migrations' };
      return await reading(migrations.find(filter, options).toArray(), signal);
    },
  };
}

/** The collection; transactions use it together with projects and slots. */
export function migrationCollection(db: Db): Collection<MigrationDocument> {
  return db.collection(migrationsName, collectionOptions);
}

/**
 * Conditions for all writes of a purge: a process that was paused writes nothing after the end of
 * its purge, even if another purge has begun.
 */
export function samePurge({
  purgeNumber,
}: Pick<MigrationDocument, 'purgeNumber'>): Filter<MigrationDocument> {
  // A purge that an earlier release has begun has no number.
  return { side: 'source', isPurging: true, purgeNumber: purgeNumber ?? { $exists: false } };
}

/** An undefined value removes its field. */
function changeOf(values: MigrationValues) {
  const entries = Object.entries(values);
  const unset = entries.filter(([, value]) => value === undefined).map(([name]) => [name, '']);
  return {
    $set: Object.fromEntries(entries.filter(([, value]) => value !== undefined)),
    ...(unset.length > 0 && { $unset: Object.fromEntries(unset) }),
    $inc: { revision: 1 },
  };
}
