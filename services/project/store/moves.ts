import type { Transaction } from '@silo/log/event-log.ts';
import { readLinearizable } from '@silo/mongo/linearizable.ts';
import { type Page, readPage } from '@silo/mongo/page.ts';
import { bounded, collectionOptions } from '@silo/mongo/read.ts';
import type { Collection, Db, Filter } from 'mongodb';
import type { MoveDocument } from './documents.ts';

/** The change that ends the time in which a move can be undone. */
export type Closing =
  | Required<Pick<MoveDocument, 'undoneBy'>>
  | Required<Pick<MoveDocument, 'finalizeTime' | 'finalizerAccountId'>>;

/** Selects the moves of an organization, or only those of one project. */
export type Listed = { organizationId: string; projectId?: string | undefined };

/** Stores the records of all moves. */
export type MoveStore = ReturnType<typeof createMoveStore>;

export function createMoveStore(db: Db) {
  const moves: Collection<MoveDocument> = db.collection('moves', collectionOptions);

  return {
    async insert(tx: Transaction, move: MoveDocument): Promise<void> {
      await moves.insertOne(move, { session: tx.session });
    },

    /** Returns a move of any organizations, by a linearizable read; the caller checks access. */
    async find(moveId: string, signal: AbortSignal): Promise<MoveDocument | undefined> {
      return (await readLinearizable(moves, { _id: moveId }, { signal })) ?? undefined;
    },

    /** Returns a move as of the transaction. */
    async read(tx: Transaction, moveId: string): Promise<MoveDocument | undefined> {
      return (await moves.findOne({ _id: moveId }, { session: tx.session })) ?? undefined;
    },

    /** Ends the time in which a move can be undone; undefined if it is over. Succeeds only once. */
    async close(
      tx: Transaction,
      moveId: string,
      closing: Closing,
    ): Promise<MoveDocument | undefined> {
      const open: Filter<MoveDocument> = {
        _id: moveId,
        undoExpireTime: { $gt: tx.now },
        undoneBy: { $exists: false },
        finalizeTime: { $exists: false },
      };
      const closed = await moves.findOneAndUpdate(
        open,
        { $set: closing, $inc: { revision: 1 } },
        { session: tx.session, returnDocument: 'after' },
      );
      return closed ?? undefined;
    },

    /** Returns a page of the moves from and to an organization, newest first. */
    async list(
      { organizationId, projectId }: Listed,
      { beforeId, size }: { beforeId: string | undefined; size: number },
      signal: AbortSignal,
    ): Promise<Page<MoveDocument>> {
      const filter: Filter<MoveDocument> = {
        organizationIds: organizationId,
        ...(projectId !== undefined && { projectIds: projectId }),
        ...(beforeId !== undefined && { _id: { $lt: beforeId } }),
      };
      return await readPage(moves.find(filter, bounded).sort({ _id: -1 }), size, signal);
    },
  };
}
