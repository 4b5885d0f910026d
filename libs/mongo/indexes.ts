import { type Db, type IndexDescription, MongoServerError } from 'mongodb';
import { fromMongo } from './from-mongo.ts';

/** An index: its key, and options such as `unique`. */
export type Index = IndexDescription;

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
    const present = await db.listCollections({}, { nameOnly: true }).toArray();
    const names = new Set(present.map(({ name }) => name));
    for (const [name, indexes] of Object.entries(collections)) {
      // Makes the collection too.
      if (indexes.length > 0) await db.collection(name).createIndexes([...indexes]);
      else if (!names.has(name)) await ensureCollection(db, name);
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
