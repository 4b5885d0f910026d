import type { Transaction } from '@silo/log/event-log.ts';
import { findAsOfNow } from '@silo/mongo/as-of-now.ts';
import { readLinearizable } from '@silo/mongo/linearizable.ts';
import { type Page, readPage } from '@silo/mongo/page.ts';
import { bounded, collectionOptions, reading } from '@silo/mongo/read.ts';
import type { KeyFact } from '@silo/protos/gen/silo/token/internal/v1/fact_service.ts';
import type { UsedKey } from '@silo/protos/gen/silo/token/internal/v1/registry_service.ts';
import type { Db } from 'mongodb';
import { secretExpiry } from '../rules/key-secrets.ts';
import type { AccountDocument, KeyDocument, KeySecret, KeySecretDocument } from './documents.ts';

/** The transaction of a statement. */
type InTransaction = Pick<Transaction, 'session'>;

/** Time limit of a write of the use of many keys, for which no caller waits. */
const useTimeMaxMs = 10_000;

/** The reach of a live key. */
type LiveKeyDocument = Pick<
  KeyDocument,
  '_id' | 'accountId' | 'name' | 'scopes' | 'organizationIds' | 'projectIds'
>;

/** The id and the expiry of a key. */
export type KeyExpiry = Pick<KeyDocument, '_id' | 'expireTime'>;

/** The API keys with their secrets' facts. All statements concern the keys of one account. */
export type KeyStore = ReturnType<typeof createKeyStore>;

/** Opens the API keys in the service's database. */
export function createKeyStore(db: Db) {
  const keys = db.collection<KeyDocument>('api_keys', collectionOptions);
  const secrets = db.collection<KeySecretDocument>('key_secrets', collectionOptions);
  const accounts = db.collection<AccountDocument>('accounts', collectionOptions);

  async function saveSecrets({ session }: InTransaction, key: KeyDocument): Promise<void> {
    for (const secret of key.secrets) {
      const document = secretDocument(key, secret);
      await secrets.replaceOne({ _id: secret.hash }, document, { session, upsert: true });
    }
  }

  return {
    /** Makes this transaction conflict with every other one that changes keys of the account. */
    async lockAccount({ session }: InTransaction, accountId: string): Promise<void> {
      await accounts.updateOne(
        { _id: accountId },
        { $inc: { revision: 1 } },
        { session, upsert: true },
      );
    },

    /**
     * Notes the first key of an account that this transaction has locked. Returns false if it is
     * noted already.
     */
    async noteFirstKey(
      { session }: InTransaction,
      accountId: string,
      firstKeyId: string,
    ): Promise<boolean> {
      const filter = { _id: accountId, firstKeyId: { $ne: firstKeyId } };
      const { matchedCount } = await accounts.updateOne(
        filter,
        { $set: { firstKeyId } },
        { session },
      );
      return matchedCount > 0;
    },

    /** Adds a key to an account that this transaction has locked. */
    async insert({ session }: InTransaction, key: KeyDocument): Promise<void> {
      await keys.insertOne(key, { session });
      await saveSecrets({ session }, key);
    },

    /** Returns the expiry of each of an account's keys. */
    async listExpiries({ session }: InTransaction, accountId: string): Promise<KeyExpiry[]> {
      const projection = { expireTime: 1 };
      return await keys.find<KeyExpiry>({ accountId }, { session, projection }).toArray();
    },

    /**
     * Writes a key that this transaction has read. Secrets that it no longer has become invalid.
     */
    async save({ session }: InTransaction, key: KeyDocument): Promise<void> {
      const { _id, accountId } = key;
      await keys.replaceOne({ _id, accountId }, key, { session });
      const kept = key.secrets.map(({ hash }) => hash);
      await secrets.deleteMany({ keyId: _id, accountId, _id: { $nin: kept } }, { session });
      await saveSecrets({ session }, key);
    },

    /** Removes a key and its secrets. */
    async remove({ session }: InTransaction, accountId: string, keyId: string): Promise<void> {
      await keys.deleteOne({ _id: keyId, accountId }, { session });
      await secrets.deleteMany({ keyId, accountId }, { session });
    },

    async findIn(
      { session }: InTransaction,
      accountId: string,
      keyId: string,
    ): Promise<KeyDocument | undefined> {
      return (await keys.findOne({ _id: keyId, accountId }, { session })) ?? undefined;
    },

    /** Returns the fact of one of the account's secrets, from this transaction's snapshot. */
    async findFactIn(
      { session }: InTransaction,
      accountId: string,
      keyHash: Uint8Array,
    ): Promise<KeyFact | undefined> {
      const filter = { _id: Buffer.from(keyHash), accountId };
      return toFact(await secrets.findOne(filter, { session }));
    },

    async find(
      accountId: string,
      keyId: string,
      signal: AbortSignal,
    ): Promise<KeyDocument | undefined> {
      const query = keys.findOne({ _id: keyId, accountId }, bounded);
      return (await reading(query, signal)) ?? undefined;
    },

    /**
     * A page of an account's keys by id, which is the order of their creation. `only` selects one
     * key.
     */
    async listOfAccount(
      accountId: string,
      page: { after?: string | undefined; only?: string | undefined; size: number },
      signal: AbortSignal,
    ): Promise<Page<KeyDocument>> {
      const { after = '', only, size } = page;
      const _id = { $gt: after, ...(only && { $eq: only }) };
      return await readPage(keys.find({ accountId, _id }, bounded).sort({ _id: 1 }), size, signal);
    },

    /**
     * Returns the accounts' keys that are neither disabled nor expired, as of now, by account, in
     * batches.
     */
    liveOfAccounts(
      accountIds: readonly string[],
      now: Date,
      signal: AbortSignal,
    ): AsyncIterable<LiveKeyDocument[]> {
      const filter = {
        accountId: { $in: [...accountIds] },
        disabled: false,
        $or: [{ expireTime: { $exists: false } }, { expireTime: { $gt: now } }],
      };
      const projection = {
        ...{ accountId: 1, name: 1, scopes: 1, organizationIds: 1, projectIds: 1 },
      };
      return findAsOfNow(keys, filter, { projection, sort: { accountId: 1, _id: 1 }, signal });
    },

    /**
     * Returns the fact of a secret by one linearizable read; undefined: unknown, replaced or
     * deleted.
     */
    async readFact(keyHash: Uint8Array, signal: AbortSignal): Promise<KeyFact | undefined> {
      return toFact(await readLinearizable(secrets, { _id: Buffer.from(keyHash) }, { signal }));
    },

    /**
     * Records the use of keys by one command, except for keys whose last recorded use is after
     * `unlessSince`.
     */
    async noteUses(used: readonly UsedKey[], now: Date, unlessSince: Date): Promise<void> {
      const updates = used.map(({ accountId, keyId }) => ({
        updateOne: {
          filter: { _id: keyId, accountId, lastUseTime: { $not: { $gt: unlessSince } } },
          update: { $set: { lastUseTime: now } },
        },
      }));
      const options = { ordered: false, maxTimeMS: useTimeMaxMs, writeConcern: { w: 1 } } as const;
      await keys.bulkWrite(updates, options);
    },
  };
}

function secretDocument(key: KeyDocument, secret: KeySecret): KeySecretDocument {
  const { _id: keyId, accountId, scopes, organizationIds, projectIds, disabled } = key;
  return {
    ...{ _id: secret.hash, keyId, accountId, scopes, organizationIds, projectIds, disabled },
    expireTime: secretExpiry(key.expireTime, secret.expireTime),
  };
}

function toFact(found: KeySecretDocument | null): KeyFact | undefined {
  if (found === null) return undefined;
  const { keyId, accountId, scopes, organizationIds, projectIds, expireTime, disabled } = found;
  return { keyId, accountId, scopes, organizationIds, projectIds, expireTime, disabled };
}
