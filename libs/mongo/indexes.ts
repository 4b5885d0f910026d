import { systemSleep } from '@silo/runtime/clock.ts';
import { type Collection, type Db, type IndexDescription, MongoServerError } from 'mongodb';
import { fromMongo, isConnectionLost } from './from-mongo.ts';
import type { Migration } from './migrations.ts';
import { bounded, collectionOptions } from './read.ts';

/** An index: its key, and options such as `unique`. */
export type Index = IndexDescription;

/** Collections by name, with their indexes. */
export type Collections = Readonly<Record<string, readonly Index[]>>;

/**
 * The indexes that a migration creates, as JSON, because operators of filters are not valid field
 * names. The record is for `missingIndexes`: an index that was dropped leaves no trace.
 */
type ExpectedIndexes = { _id: string; collections: string };

const namespaceNotFound = 26;
const namespaceExists = 48;
const pauseMs = 1_000;

/**
 * The migration that creates missing collections and their indexes. Collections are created up
 * front, because a transaction that creates one conflicts with all others. MongoDB builds an index
 * while the collection is in use.
 */
export function indexMigration(name: string, collections: Collections): Migration {
  const all = Object.entries(collections);
  return {
    name,
    isDone: async (db) => {
      const exist = await Promise.all(all.map((each) => existIndexes(db, ...each)));
      return exist.every(Boolean) && (await isRecorded(db, name, collections));
    },
    run: async (db, signal) => {
      await Promise.all(all.map((each) => ensureIndexes(db, ...each, signal)));
      await record(db, name, collections);
    },
  };
}

/** The missing indexes among those that the service of this database has created. */
export async function missingIndexes(db: Db): Promise<{ collection: string; index: string }[]> {
  const missing: { collection: string; index: string }[] = [];
  for (const { collections } of await expected(db).find({}, bounded).toArray()) {
    const wanted: Collections = JSON.parse(collections);
    for (const [collection, indexes] of Object.entries(wanted)) {
      const present = await presentIndexes(db, collection);
      for (const index of indexes) {
        if (present?.some((found) => isSame(found, index))) continue;
        missing.push({ collection, index: JSON.stringify(index.key) });
      }
    }
  }
  return missing;
}

/** Also true if a newer release has recorded more: the migration is done for both releases. */
async function isRecorded(db: Db, name: string, collections: Collections): Promise<boolean> {
  const recorded = await recordedOf(db, name);
  return Object.entries(collections).every(([collection, indexes]) =>
    indexes.every((index) => recorded[collection]?.some((found) => isSame(found, index))),
  );
}

async function record(db: Db, name: string, collections: Collections): Promise<void> {
  const all: Record<string, readonly Index[]> = { ...(await recordedOf(db, name)) };
  for (const [collection, indexes] of Object.entries(collections)) {
    const others = all[collection]?.filter((found) => !indexes.some((own) => isSame(found, own)));
    all[collection] = [...indexes, ...(others ?? [])];
  }
  const update = { $set: { collections: JSON.stringify(all) } };
  await expected(db).updateOne({ _id: name }, update, { upsert: true });
}

async function recordedOf(db: Db, name: string): Promise<Collections> {
  const recorded = await expected(db).findOne({ _id: name }, bounded);
  return recorded === null ? {} : JSON.parse(recorded.collections);
}

function expected(db: Db): Collection<ExpectedIndexes> {
  return db.collection<ExpectedIndexes>('expected_indexes', collectionOptions);
}

async function existIndexes(db: Db, name: string, indexes: readonly Index[]): Promise<boolean> {
  const present = await presentIndexes(db, name);
  if (present === undefined) return false;
  return indexes.every((index) => present.some((found) => isSame(found, index)));
}

/** Undefined if the collection does not exist. */
async function presentIndexes(db: Db, name: string) {
  return await db
    .collection(name)
    .indexes()
    .catch((error: unknown) => {
      if (error instanceof MongoServerError && error.code === namespaceNotFound) return undefined;
      throw fromMongo(error);
    });
}

function isSame(found: Index, index: Index): boolean {
  const hasName = index.name === undefined || found.name === index.name;
  return hasName && describe(found) === describe(index);
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
      // Creates the collection, too.
      if (indexes.length > 0) await db.collection(name).createIndexes([...indexes]);
      else await db.createCollection(name);
      return;
    } catch (error) {
      if (error instanceof MongoServerError && error.code === namespaceExists) return;
      // MongoDB continues to build an index that takes longer than the connection waits.
      if (!isConnectionLost(error)) throw fromMongo(error);
    }
    await systemSleep(pauseMs, signal);
  }
}
