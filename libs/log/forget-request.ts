import { logCollections } from './collections.ts';
import type { Transaction } from './event-log.ts';

/**
 * Deletes the record of a request, in the transaction: its saga ended in a refusal, and refusals
 * are not recorded. `key` is `RequestIdentity.key`. Does nothing if there is no record.
 */
export async function forgetRequest(tx: Transaction, key: Uint8Array): Promise<void> {
  const { requests } = logCollections(tx.db);
  await requests.deleteOne({ _id: Buffer.from(key) }, { session: tx.session });
}
