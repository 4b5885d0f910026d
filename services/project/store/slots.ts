import type { Transaction } from '@silo/log/event-log.ts';
import { bounded, collectionOptions, reading } from '@silo/mongo/read.ts';
import type { Collection, Db, Filter } from 'mongodb';
import type { SlotsDocument } from './documents.ts';

/** The number of moved projects, their organizations, and the minimum that the source keeps. */
type Transfer = { sourceId: string; destinationId: string; count: number; kept: number };

/** Stores the slots of organizations. */
export type SlotStore = ReturnType<typeof createSlotStore>;

export function createSlotStore(db: Db) {
  const slots: Collection<SlotsDocument> = db.collection('slots', collectionOptions);

  return {
    /** Returns the slots of those of the organizations that have any. */
    async getMany(
      organizationIds: readonly string[],
      signal: AbortSignal,
    ): Promise<Map<string, SlotsDocument>> {
      const filter = { _id: { $in: [...organizationIds] } };
      const found = await reading(slots.find(filter, bounded).toArray(), signal);
      return new Map(found.map((each) => [each._id, each]));
    },

    /** Returns the slots of these organizations as of the transaction. */
    async readMany(
      tx: Transaction,
      organizationIds: readonly string[],
    ): Promise<Map<string, SlotsDocument>> {
      const { session } = tx;
      const found = await slots.find({ _id: { $in: [...organizationIds] } }, { session }).toArray();
      return new Map(found.map((each) => [each._id, each]));
    },

    async read(tx: Transaction, organizationId: string): Promise<SlotsDocument | undefined> {
      const { session } = tx;
      return (await slots.findOne({ _id: organizationId }, { session })) ?? undefined;
    },

    /** Opens slots. Returns false if they were open already. */
    async open(tx: Transaction, { _id, ...rest }: SlotsDocument): Promise<boolean> {
      const { upsertedCount } = await slots.updateOne(
        { _id },
        { $setOnInsert: rest },
        { upsert: true, session: tx.session },
      );
      return upsertedCount === 1;
    },

    /** Takes that many slots, all or none. Returns whether there were enough. */
    async take(tx: Transaction, organizationId: string, more: number): Promise<boolean> {
      const { session } = tx;
      const { matchedCount } = await slots.updateOne(
        withRoom(organizationId, more),
        counted(more),
        {
          session,
        },
      );
      return matchedCount === 1;
    },

    /** Frees the slot of an existing project. */
    async free(tx: Transaction, organizationId: string): Promise<void> {
      const { matchedCount } = await slots.updateOne(
        { _id: organizationId, count: { $gte: 1 } },
        counted(-1),
        { session: tx.session },
      );
      if (matchedCount !== 1)
        throw new TypeError(`${organizationId} counts fewer projects than exist`);
    },

    /**
     * Transfers the use of that many slots from source to destination. Returns false if the source
     * would keep fewer than `kept` or the destination has no room; the transaction must then be
     * aborted.
     */
    async transfer(
      tx: Transaction,
      { sourceId, destinationId, count, kept }: Transfer,
    ): Promise<boolean> {
      const source = { _id: sourceId, count: { $gte: count + kept } };
      // Consecutive operations of one kind are sent as one statement.
      const { matchedCount } = await slots.bulkWrite(
        [
          { updateOne: { filter: source, update: counted(-count) } },
          { updateOne: { filter: withRoom(destinationId, count), update: counted(count) } },
        ],
        { session: tx.session },
      );
      return matchedCount === 2;
    },

    /** Writes the result of a conditional change. */
    async replace(tx: Transaction, { _id, ...rest }: SlotsDocument): Promise<void> {
      const { matchedCount } = await slots.replaceOne({ _id }, rest, { session: tx.session });
      if (matchedCount !== 1) throw new TypeError(`${_id} has no slots`);
    },
  };
}

function counted(more: number) {
  return { $inc: { count: more, revision: 1 } };
}

function withRoom(organizationId: string, more: number): Filter<SlotsDocument> {
  return {
    _id: organizationId,
    closed: false,
    $or: [{ limit: null }, { $expr: { $lte: [{ $add: ['$count', more] }, '$limit'] } }],
  };
}
