import type { Collection, Document, Filter, Timestamp, WithId } from 'mongodb';
import { majorityTime } from './majority-time.ts';
import { bounded, reading } from './read.ts';

/**
 * Reads the one document that `filter` names, as of now: it sees everything that was acknowledged
 * before the call, and what it returns is durable. Refuses with DEPENDENCY_UNAVAILABLE if the
 * primary does not answer, or cannot prove in time that it still is the primary.
 */
export async function readLinearizable<T extends Document>(
  collection: Collection<T>,
  filter: Filter<T>,
  { projection, signal }: { projection?: Document; signal?: AbortSignal | undefined } = {},
): Promise<WithId<T> | null> {
  signal?.throwIfAborted();
  const find = async () => {
    const time = await majorityTime(collection.db);
    signal?.throwIfAborted(); // while MongoDB stood still, callers of many waiting reads may have given up
    return await readAfter(time, collection, filter, projection);
  };
  return await reading(find(), signal);
}

/**
 * Reads one durable document that is not older than the given time. Rejects with the driver's
 * error. A signal does not end it: an abandoned read ends within its own time limit.
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
