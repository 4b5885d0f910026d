import { systemSleep } from '@silo/runtime/clock.ts';
import { type Db, type IndexDescription, MongoServerError } from 'mongodb';
import { fromMongo, isConnectionLost } from './from-mongo.ts';
import type { Migration } from './migrations.ts';

/** An index: its key, and options such as `unique`. */
export type Index = IndexDescription;

/** Collections by name, with their indexes. */
export type Collections = Readonly<Record<string, readonly Index[]>>;

const namespaceNotFound = 26;
const namespaceExists = 48;
const pauseMs = 1_000;

/**
 * The migration that makes collections and their indexes where they are missing. Collections are
 * made up front, because a transaction that makes one conflicts with all. MongoDB builds an index
 * while the collection is read and written.
 */
export function indexMigration(name: string, collections: Collections): Migration {
  const all = Object.entries(collections);
  return {
    name,
    isDone: async (db) => {
      const exist = await Promise.all(all.map((each) => existIndexes(db, ...each)));
      return exist.every(Boolean);
    },
    run: async (db, signal) => {
      await Promise.all(all.map((each) => ensureIndexes(db, ...each, signal)));
    },
  };
}

async function existIndexes(db: Db, name: string, indexes: readonly Index[]): Promise<boolean> {
  const present = await db
    .collection(name)
    .indexes()
    .catch((error: unknown) => {
      if (error instanceof MongoServerError && error.code === namespaceNotFound) return undefined;
      throw fromMongo(error);
    });
  if (present === undefined) return false;
  return indexes.every((index) =>
    present.some(
      (found) =>
        describe(found) === describe(index) &&
        (index.name === undefined || found.name === index.name),
    ),
  );
}

function describe({ key, unique, sparse, expireAfterSeconds, partialFilterExpression }: Index) {
  return JSON.stringify([key, unique, sparse, expireAfterSeconds, partialFilterExpression]);
}

async function ensureIndexes(
  db: Db,
  name: string,
  indexes: readonly Index[],
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    signal.throwIfAborted();
    try {
      // Makes the collection too.
      if (indexes.length > 0) await db.collection(name).createIndexes([...indexes]);
      else await db.createCollection(name);
      return;
    } catch (error) {
      if (error instanceof MongoServerError && error.code === namespaceExists) return;
      // MongoDB goes on with an index that takes longer than a connection waits.
      if (!isConnectionLost(error)) throw fromMongo(error);
    }
    await systemSleep(pauseMs, signal);
  }
}
