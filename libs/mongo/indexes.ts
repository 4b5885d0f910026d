import {
  type CreateIndexesOptions,
  type Db,
  type IndexSpecification,
  MongoServerError,
} from 'mongodb';
import { fromMongo } from './from-mongo.ts';

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

async function ensureCollection(db: Db, name: string): Promise<void> {
  try {
    await db.createCollection(name);
  } catch (error) {
    if (!(error instanceof MongoServerError && error.code === namespaceExists)) throw error;
  }
}
