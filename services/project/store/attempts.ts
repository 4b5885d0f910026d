import type { Transaction } from '@silo/log/event-log.ts';
import { bounded, reading } from '@silo/mongo/read.ts';
import { MigrationState } from '@silo/protos/gen/silo/project/v1/migration.ts';
import type { Db, Document, Filter } from 'mongodb';
import { attemptMsMax, holdMsMax } from '../rules/cutover-times.ts';
import { statesBefore } from '../rules/migration-states.ts';
import type { MigrationDocument } from './documents.ts';
import { migrationCollection } from './migrations.ts';

const { MIGRATION_STATE_CUTOVER: cutover, MIGRATION_STATE_VERIFYING: verifying } = MigrationState;

/** The attempt began at least this long ago, by the database's clock. */
function isOlder(ms: number): Document {
  return { $gte: ['$$NOW', { $add: ['$holdTime', ms] }] };
}

const heldMs: Document = { $toInt: { $subtract: ['$$NOW', '$holdTime'] } };
/** By the attempt, and by all together. */
const held: Document = {
  lastHoldMs: heldMs,
  'progress.holdMs': { $add: [{ $ifNull: ['$progress.holdMs', 0] }, heldMs] },
};
/** Of an update that is a pipeline. */
const oneMore = { revision: { $add: ['$revision', 1] } };

/** The attempts at the cutover, at the source: its database alone decides which of them commits. */
export type AttemptStore = ReturnType<typeof createAttemptStore>;

export function createAttemptStore(db: Db) {
  const migrations = migrationCollection(db);

  /** The attempt as long as it is neither committed nor ended. */
  const running = (id: string, attempt: number): Filter<MigrationDocument> => ({
    ...{ _id: id, side: 'source', state: cutover, attempt },
    commitTime: { $exists: false },
  });

  return {
    /** Begins an attempt with a larger number than those before; undefined where it may not begin. */
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
     * Writes, durably, that no process changes the project's events any more: who follows the changes
     * of this database has seen all of them when this one comes. False where the attempt is over.
     */
    async fence(id: string, attempt: number, signal: AbortSignal): Promise<boolean> {
      const fenced = { $set: { fencedAttempt: attempt } };
      const written = migrations.updateOne(running(id, attempt), fenced, bounded);
      return (await reading(written, signal)).matchedCount === 1;
    },

    /** Commits a fenced attempt whose time is not over; undefined where it cannot be committed. */
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
     * Ends an attempt that is not committed, or one before it whose end was lost; undefined where there
     * is none. From then on only later ones begin.
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

    /** Keeps an attempt from beginning that has not begun: its call may still be under way. */
    async skip(tx: Transaction, id: string, attempt: number): Promise<void> {
      const waiting = { _id: id, side: 'source' as const, attempt: { $lt: attempt } };
      const notNow = { ...waiting, state: { $ne: cutover } };
      await migrations.updateOne(notNow, { $set: { attempt } }, { session: tx.session });
    },

    /** Attempts whose time is over. */
    async late(limit: number, signal: AbortSignal): Promise<MigrationDocument[]> {
      const filter = {
        ...{ isOpen: true as const, side: 'source' as const, state: cutover },
        ...{ commitTime: { $exists: false }, $expr: isOlder(holdMsMax) },
      };
      const options = { ...bounded, limit, comment: 'loop: end-holds' };
      return await reading(migrations.find(filter, options).toArray(), signal);
    },

    /** Open records of committed attempts whose token is not retired, or whose end is recorded. */
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
