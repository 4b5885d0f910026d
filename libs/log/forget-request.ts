import { logCollections } from './collections.ts';
import type { Transaction } from './event-log.ts';

/**
 * Forgets a request with the commit: its saga ended in a refusal, and refusals are not remembered.
 * `key` is `RequestIdentity.key`. Does nothing where nothing is remembered.
 */
export async function forgetRequest(tx: Transaction, key: Uint8Array): Promise<void> {
  const { requests } = logCollections(tx.db);
  await requests.deleteOne({ _id: Buffer.from(key) }, { session: tx.session });
}
