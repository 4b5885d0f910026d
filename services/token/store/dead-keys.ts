import { bounded, collectionOptions, reading } from '@silo/mongo/read.ts';
import type { ClientSession, Db } from 'mongodb';
import type { DeadKeyDocument } from './documents.ts';

const keptMs = 24 * 60 * 60 * 1000;

/** The secrets that ended by a call of their own: for 24 hours they may repeat that call. */
export type DeadKeyStore = ReturnType<typeof createDeadKeyStore>;

/** Opens the dead keys in the service's database. */
export function createDeadKeyStore(db: Db) {
  const dead = db.collection<DeadKeyDocument>('dead_keys', collectionOptions);
  return {
    async insert(
      session: ClientSession,
      keyHash: Uint8Array,
      owner: { accountId: string; keyId: string },
      now: Date,
    ): Promise<void> {
      const _id = Buffer.from(keyHash);
      const expireTime = new Date(now.getTime() + keptMs);
      await dead.replaceOne({ _id }, { ...owner, expireTime }, { session, upsert: true });
    },

    /** Whose a secret was. There is no account to ask for: the secret itself is what is known. */
    async find(
      keyHash: Uint8Array,
      now: Date,
      signal: AbortSignal,
    ): Promise<{ accountId: string; keyId: string } | undefined> {
      const filter = { _id: Buffer.from(keyHash), expireTime: { $gt: now } };
      const found = await reading(dead.findOne(filter, bounded(signal)));
      return found === null ? undefined : { accountId: found.accountId, keyId: found.keyId };
    },
  };
}
