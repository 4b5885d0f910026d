import type { Transaction } from '@silo/log/event-log.ts';
import { bounded, collectionOptions, reading } from '@silo/mongo/read.ts';
import type { Db } from 'mongodb';
import type { SubscriptionDocument } from './documents.ts';

/** The subscriptions, one for each organization. */
export type SubscriptionStore = ReturnType<typeof createSubscriptionStore>;

/** Opens the subscriptions in the service's database. */
export function createSubscriptionStore(db: Db) {
  const subscriptions = db.collection<SubscriptionDocument>('subscriptions', collectionOptions);
  return {
    async insert({ session }: Transaction, subscription: SubscriptionDocument): Promise<void> {
      await subscriptions.insertOne(subscription, { session });
    },

    /** Writes a subscription. Writes nothing and returns false if it is no longer at `revision`. */
    async save(
      { session }: Transaction,
      subscription: SubscriptionDocument,
      revision: number,
    ): Promise<boolean> {
      const { _id } = subscription;
      const saved = await subscriptions.replaceOne({ _id, revision }, subscription, { session });
      return saved.matchedCount > 0;
    },

    async findIn(
      { session }: Transaction,
      organizationId: string,
    ): Promise<SubscriptionDocument | undefined> {
      return (await subscriptions.findOne({ _id: organizationId }, { session })) ?? undefined;
    },

    async find(
      organizationId: string,
      signal: AbortSignal,
    ): Promise<SubscriptionDocument | undefined> {
      const query = subscriptions.findOne({ _id: organizationId }, bounded);
      return (await reading(query, signal)) ?? undefined;
    },
  };
}
