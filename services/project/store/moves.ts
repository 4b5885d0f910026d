import type { Transaction } from '@silo/mongo/event-log.ts';
import type { Collection, Db } from 'mongodb';
import type { MoveDocument } from './documents.ts';

/** The record of every move. */
export type MoveStore = ReturnType<typeof createMoveStore>;

export function createMoveStore(db: Db) {
  const moves: Collection<MoveDocument> = db.collection('moves');

  return {
    async insert(tx: Transaction, move: MoveDocument): Promise<void> {
      await moves.insertOne(move, { session: tx.session });
    },
  };
}
