import type { Collection, Document, Filter, Timestamp, WithId } from 'mongodb';
import { majorityTime } from './majority-time.ts';
import { bounded, reading } from './read.ts';

/**
 * Reads the one document that `filter` names, as it stands now: everything that was acknowledged
 * before the call is seen, and what is answered is durable. Refuses with DEPENDENCY_UNAVAILABLE
 * where the primary does not answer, or cannot prove in time that it still is one.
 */
export async function readLinearizable<T extends Document>(
  collection: Collection<T>,
  filter: Filter<T>,
  { projection, signal }: { projection?: Document; signal?: AbortSignal | undefined } = {},
): Promise<WithId<T> | null> {
  signal?.throwIfAborted();
  const find = async () => {
    const time = await majorityTime(collection.db);
    signal?.throwIfAborted(); // while MongoDB stood still, many may have waited that nobody waits for
    return await readAfter(time, collection, filter, projection);
  };
  return await reading(find(), signal);
}

/**
 * Reads one document, durable and not older than the time. Rejects with the driver's error. Not
 * ended by a signal: an abandoned read ends within its own bound.
 */
export async function readAfter<T extends Document>(
  time: Timestamp,
  collection: Collection<T>,
  filter: Filter<T>,
  projection?: Document,
): Promise<WithId<T> | null> {
  await using session = collection.db.client.startSession({ causalConsistency: true });
  session.advanceOperationTime(time);
  return await collection.findOne(filter, {
    ...{ ...bounded, session, readConcern: { level: 'majority' }, readPreference: 'primary' },
    ...(projection ? { projection } : {}),
  });
}
