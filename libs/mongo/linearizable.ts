import type { Collection, Document, Filter, WithId } from 'mongodb';
import { reading } from './read.ts';

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
  const found = collection.findOne(filter, {
    ...(projection ? { projection } : {}),
    readConcern: { level: 'linearizable' },
    readPreference: 'primary',
    maxTimeMS: maxTimeMs,
  });
  return await reading(found, signal);
}
