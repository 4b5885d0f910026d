import type { Transaction } from '@silo/log/event-log.ts';
import { deleteKey, newKey } from '../../rules/key-changes.ts';
import { checkKeyCount, longExpired } from '../../rules/keys-per-account.ts';
import type { KeyDocument } from '../../store/documents.ts';
import type { KeyStore } from '../../store/keys.ts';

/**
 * Adds a key to an account that the transaction has locked, and returns it. Removes those of the
 * account's expired keys that exceed their limit. Refuses with RESOURCE_LIMIT.
 */
export async function addKey(
  keys: KeyStore,
  tx: Transaction,
  init: Parameters<typeof newKey>[0],
  actor: string,
): Promise<KeyDocument> {
  const { now, emit } = tx;
  const { accountId } = init;
  const present = await keys.listExpiries(tx, accountId);
  const { key, event } = newKey(init, { actor, now });
  checkKeyCount([...present, key], now);
  for (const keyId of longExpired(present, now)) {
    const old = await keys.findIn(tx, accountId, keyId);
    if (old === undefined) continue;
    await keys.remove(tx, accountId, keyId);
    for (const ended of deleteKey(old, { actor: 'silo', now }).events) emit(ended);
  }
  await keys.insert(tx, key);
  emit(event);
  return key;
}
