import type { Collection, Db } from 'mongodb';

/** A TTL index: its field, and the time after which it removes a document. */
export type Ttl = { field: string; seconds: number; filter: Record<string, unknown> };

/** The TTL indexes of a collection. */
export async function ttlsOf(collection: Collection): Promise<Ttl[]> {
  const indexes = await collection.indexes();
  return indexes.flatMap(({ key, expireAfterSeconds, partialFilterExpression = {} }) => {
    const [field] = Object.keys(key);
    if (expireAfterSeconds === undefined || field === undefined) return [];
    return [{ field, seconds: expireAfterSeconds, filter: partialFilterExpression }];
  });
}

/**
 * Removes the documents that MongoDB's TTL thread would have removed after this time, by the
 * existing indexes.
 */
export async function passTime(db: Db, ms: number): Promise<void> {
  for (const collection of await db.collections()) {
    for (const { field, seconds, filter } of await ttlsOf(collection)) {
      const before = new Date(Date.now() + ms - seconds * 1_000);
      await collection.deleteMany({ ...filter, [field]: { $type: 'date', $lte: before } });
    }
  }
}
