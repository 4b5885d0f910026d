import type { Collection, Document, Filter, WithId } from 'mongodb';
import { fromMongo } from './from-mongo.ts';

const timeMaxMs = 5_000;

/**
 * Reads the one document that `filter` names, as it stands now: everything that was acknowledged
 * before the call is seen, and what is answered is durable. Refuses with DEPENDENCY_UNAVAILABLE
 * where the primary does not answer, or cannot prove in time that it still is one.
 */
export async function readLinearizable<T extends Document>(
  collection: Collection<T>,
  filter: Filter<T>,
  options: {
    projection?: Document | undefined;
    maxTimeMs?: number | undefined;
    signal?: AbortSignal | undefined;
  } = {},
): Promise<WithId<T> | null> {
  try {
    return await collection.findOne(filter, {
      ...(options.projection ? { projection: options.projection } : {}),
      ...(options.signal ? { signal: options.signal } : {}),
      readConcern: { level: 'linearizable' },
      readPreference: 'primary',
      maxTimeMS: options.maxTimeMs ?? timeMaxMs,
    });
  } catch (error) {
    throw fromMongo(error);
  }
}
