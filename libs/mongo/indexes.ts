import {
  type CreateIndexesOptions,
  type Db,
  type IndexSpecification,
  MongoServerError,
} from 'mongodb';
import { ulid } from 'ulid';
import { logCollections } from './collections.ts';
import { fromMongo, isDuplicateKey } from './from-mongo.ts';
import { retentionSeconds } from './retention.ts';

/** An index: its key, and options such as `unique`. */
export type Index = { key: IndexSpecification } & CreateIndexesOptions;

const namespaceExists = 48;

/**
 * Makes collections and their indexes where they are missing. Safe to repeat, and for two processes
 * at once. Collections are made up front, because a transaction that makes one conflicts with all.
 */
export async function ensureIndexes(
  db: Db,
  collections: Readonly<Record<string, readonly Index[]>>,
): Promise<void> {
  try {
    for (const [name, indexes] of Object.entries(collections)) {
      await ensureCollection(db, name);
      for (const { key, ...options } of indexes) {
        await db.collection(name).createIndex(key, options);
      }
    }
  } catch (error) {
    throw fromMongo(error);
  }
}

/** Makes what an event log needs: its collections, their indexes, its first life. */
export async function setUpEventLog(db: Db): Promise<void> {
  await ensureIndexes(db, {
    outbox: [],
    log: [],
    leases: [],
    relays: [],
    events: [
      { key: { id: 1 }, unique: true },
      { key: { time: 1 }, expireAfterSeconds: retentionSeconds.event },
    ],
    requests: [{ key: { expireTime: 1 }, expireAfterSeconds: 0 }],
  });
  try {
    await logCollections(db).log.updateOne(
      { _id: 'log' },
      { $setOnInsert: { sequence: 0, incarnation: ulid().toLowerCase() } },
      { upsert: true },
    );
  } catch (error) {
    if (!isDuplicateKey(error)) throw fromMongo(error); // another process was first
  }
}

async function ensureCollection(db: Db, name: string): Promise<void> {
  try {
    await db.createCollection(name);
  } catch (error) {
    if (!(error instanceof MongoServerError && error.code === namespaceExists)) throw error;
  }
}
