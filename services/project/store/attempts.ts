import type { Transaction } from '@silo/log/event-log.ts';
import { bounded, reading } from '@silo/mongo/read.ts';
import { MigrationState } from '@silo/protos/gen/silo/project/v1/migration.ts';
import type { Db, Document, Filter } from 'mongodb';
import { attemptMsMax, holdMsMax } from '../rules/cutover-times.ts';
import { statesBefore } from '../rules/migration-states.ts';
import type { MigrationDocument } from './documents.ts';
import { migrationCollection } from './migrations.ts';

const { MIGRATION_STATE_CUTOVER: cutover, MIGRATION_STATE_VERIFYING: verifying } = MigrationState;

/** Whether the attempt began at least this long ago, by the database's clock. */
function isOlder(ms: number): Document {
  return { $gte: ['$$NOW', { $add: ['$holdTime', ms] }] };
}

const heldMs: Document = { $toInt: { $subtract: ['$$NOW', '$holdTime'] } };
/** The duration of this hold, and the sum over all attempts. */
const held: Document = {
  lastHoldMs: heldMs,
  'progress.holdMs': { $add: [{ $ifNull: ['$progress.holdMs', 0] }, heldMs] },
};
/** Increments the revision in an update pipeline. */
const oneMore = { revision: { $add: ['$revision', 1] } };

/** The attempts at the cutover, at the source: only its database decides which of them commits. */
export type AttemptStore = ReturnType<typeof createAttemptStore>;

export function createAttemptStore(db: Db) {
  const migrations = migrationCollection(db);

  /** Matches the attempt if it is neither committed nor ended. */
  const running = (id: string, attempt: number): Filter<MigrationDocument> => ({
    ...{ _id: id, side: 'source', state: cutover, attempt },
    commitTime: { $exists: false },
  });

  return {
    /** Begins an attempt with a higher number than all before; undefined if it may not begin. */
    async begin(
      tx: Transaction,
      id: string,
      attempt: number,
    ): Promise<MigrationDocument | undefined> {
      const states = statesBefore('source', cutover);
      const begun = await migrations.findOneAndUpdate(
        { _id: id, side: 'source', state: { $in: states }, attempt: { $lt: attempt } },
        [{ $set: { state: cutover, attempt, holdTime: '$$NOW', failure: '$$REMOVE', ...oneMore } }],
        { session: tx.session, returnDocument: 'after' },
      );
      return begun ?? undefined;
    },

    /**
     * Durably records that no process changes the project's events any more. A reader of the change
     * stream has seen all their changes when it sees this one. Returns false if the attempt has
     * ended or is committed.
     */
    async fence(id: string, attempt: number, signal: AbortSignal): Promise<boolean> {
      const fenced = { $set: { fencedAttempt: attempt } };
      const written = migrations.updateOne(running(id, attempt), fenced, bounded);
      return (await reading(written, signal)).matchedCount === 1;
    },

    /** Commits a fenced attempt within its time limit; undefined if it cannot be committed. */
    async commit(
      tx: Transaction,
      id: string,
      attempt: number,
    ): Promise<MigrationDocument | undefined> {
      const committed = await migrations.findOneAndUpdate(
        {
          ...running(id, attempt),
          fencedAttempt: attempt,
          $expr: { $not: [isOlder(attemptMsMax)] },
        },
        [{ $set: { commitTime: '$$NOW', ...held, ...oneMore } }],
        { session: tx.session, returnDocument: 'after' },
      );
      return committed ?? undefined;
    },

    /**
     * Ends an uncommitted attempt, or an earlier one whose end was lost; undefined if there is
     * none. Only later attempts can begin from then on.
     */
    async end(
      tx: Transaction,
      id: string,
      attempt: number,
      { failure, onlyAfterMs }: { failure: string; onlyAfterMs?: number | undefined },
    ): Promise<MigrationDocument | undefined> {
      const ended = await migrations.findOneAndUpdate(
        {
          ...{ ...running(id, attempt), attempt: { $lte: attempt } },
          ...(onlyAfterMs !== undefined && { $expr: isOlder(onlyAfterMs) }),
        },
        [
          { $set: { state: verifying, attempt, failure, ...held, ...oneMore } },
          { $unset: 'holdTime' },
        ],
        { session: tx.session, returnDocument: 'after' },
      );
      return ended ?? undefined;
    },

    /** Prevents the beginning of an attempt that has not begun: its call may still be under way. */
    async skip(tx: Transaction, id: string, attempt: number): Promise<void> {
      const waiting = { _id: id, side: 'source' as const, attempt: { $lt: attempt } };
      const notNow = { ...waiting, state: { $ne: cutover } };
      await migrations.updateOne(notNow, { $set: { attempt } }, { session: tx.session });
    },

    /** Uncommitted attempts that exceed the time limit of a hold. */
    async late(limit: number, signal: AbortSignal): Promise<MigrationDocument[]> {
      const filter = {
        ...{ isOpen: true as const, side: 'source' as const, state: cutover },
        ...{ commitTime: { $exists: false }, $expr: isOlder(holdMsMax) },
      };
      const options = { ...bounded, limit, comment: 'loop: end-holds' };
      return await reading(migrations.find(filter, options).toArray(), signal);
    },

    /**
     * Open records of committed attempts whose token is not retired, or whose migration is done.
     */
    async committed(limit: number, signal: AbortSignal): Promise<MigrationDocument[]> {
      const filter = {
        ...{ isOpen: true as const, side: 'source' as const },
        ...{ commitTime: { $exists: true }, isPurging: { $exists: false } },
        $or: [
          { state: cutover, isRetired: { $exists: false } },
          { state: MigrationState.MIGRATION_STATE_DONE },
        ],
      };
      const options = { ...bounded, limit, comment: 'loop: end-holds' };
      return await reading(migrations.find(filter, options).toArray(), signal);
    },
  };
}
