import type { Transaction } from '@silo/log/event-log.ts';
import { bounded, collectionOptions, reading } from '@silo/mongo/read.ts';
import type { EndedKey } from '@silo/rpc/repeat-access.ts';
import type { Db } from 'mongodb';
import type { EndedKeyDocument } from './documents.ts';

const keptMs = 24 * 60 * 60 * 1000;

/**
 * The secrets that were ended by their own request, or that may not make this request any more. For
 * 24 hours they may repeat that one request.
 */
export type EndedKeyStore = ReturnType<typeof createEndedKeyStore>;

/** Opens the ended keys in the service's database. */
export function createEndedKeyStore(db: Db) {
  const ended = db.collection<EndedKeyDocument>('dead_keys', collectionOptions);
  return {
    async insert(
      { session }: Transaction,
      keyHash: Uint8Array,
      { accountId, keyId, requestKey }: EndedKey,
      now: Date,
    ): Promise<void> {
      const document = { accountId, keyId, requestKey: Buffer.from(requestKey) };
      const expireTime = new Date(now.getTime() + keptMs);
      const _id = Buffer.from(keyHash);
      await ended.replaceOne({ _id }, { ...document, expireTime }, { session, upsert: true });
    },

    /** Forgets these secrets, because another request has ended them since. */
    async remove({ session }: Transaction, keyHashes: readonly Uint8Array[]): Promise<void> {
      const ids = keyHashes.map((hash) => Buffer.from(hash));
      await ended.deleteMany({ _id: { $in: ids } }, { session });
    },

    /** Returns how a secret ended. Takes no account: the caller knows only the secret. */
    async find(keyHash: Uint8Array, now: Date, signal: AbortSignal): Promise<EndedKey | undefined> {
      const filter = { _id: Buffer.from(keyHash), expireTime: { $gt: now } };
      const found = await reading(ended.findOne(filter, bounded), signal);
      if (found === null) return undefined;
      const { accountId, keyId, requestKey } = found;
      // Older versions wrote no request key. Such a secret may repeat nothing.
      return requestKey && { accountId, keyId, requestKey };
    },
  };
}
