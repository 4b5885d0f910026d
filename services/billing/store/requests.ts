import { logCollections } from '@silo/log/collections.ts';
import type { ClientSession, Db } from 'mongodb';

/** The remembered requests, to those whose refusal is known only after they were remembered. */
export type RequestStore = ReturnType<typeof createRequestStore>;

/** Opens the remembered requests in the service's database. */
export function createRequestStore(db: Db) {
  const { requests } = logCollections(db);
  return {
    /** Forgets a request, so that a repeat of it is tried anew: refusals are not remembered. */
    async forget(session: ClientSession, key: Uint8Array): Promise<void> {
      await requests.deleteOne({ _id: Buffer.from(key) }, { session });
    },
  };
}
