import { race } from '@silo/runtime/deadline.ts';
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
  const { projection, maxTimeMs = timeMaxMs, signal } = options;
  signal?.throwIfAborted();
  const reading = collection.findOne(filter, {
    ...(projection ? { projection } : {}),
    readConcern: { level: 'linearizable' },
    readPreference: 'primary',
    maxTimeMS: maxTimeMs,
  });
  try {
    // Not the driver's own signal: that closes the connection, and a busy moment ends in dialling.
    return await (signal ? race(reading, signal) : reading);
  } catch (error) {
    throw fromMongo(error);
  }
}
