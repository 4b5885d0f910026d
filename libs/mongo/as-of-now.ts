import { Budget } from '@silo/runtime/budget.ts';
import {
  BSON,
  type Collection,
  type Document,
  type Filter,
  type FindCursor,
  type Sort,
} from 'mongodb';
import { majorityTime } from './majority-time.ts';
import { pageBytesMax } from './page.ts';
import { reading, throwIfKilled } from './read.ts';

const timeMaxMs = 5_000;
const batchSize = 1_000;

/**
 * Reads the documents that a query finds, as of now, in batches of at most 1,000 documents and
 * `pageBytesMax` bytes of BSON, whichever is reached first. It sees everything that was
 * acknowledged before the call, and what it returns is durable. Refuses with DEPENDENCY_UNAVAILABLE
 * if the primary does not answer, or cannot prove in time that it still is the primary.
 */
export async function* findAsOfNow<T extends Document, Found extends Document = T>(
  collection: Collection<T>,
  filter: Filter<T>,
  { signal, ...options }: { projection: Document; sort?: Sort; signal: AbortSignal },
): AsyncGenerator<Found[]> {
  const session = collection.db.client.startSession({ causalConsistency: true });
  const bounded = { session, maxTimeMS: timeMaxMs, readPreference: 'primary' } as const;
  const time = majorityTime(collection.db);
  let pending: Promise<unknown> = time;
  let batches: AsyncGenerator<Found[]> | undefined;
  try {
    session.advanceOperationTime(await reading(time, signal));
    const found = collection.find<Found>(filter, {
      ...bounded,
      ...options,
      batchSize,
      readConcern: { level: 'majority' },
    });
    batches = batchesOf(found);
    for (;;) {
      const next = batches.next();
      pending = next;
      const { done, value } = await reading(next, signal);
      if (done) return;
      yield value;
    }
  } finally {
    // An abandoned statement ends within its own time limit, and only then releases what it uses.
    const over = pending
      .catch(() => {})
      .then(() => batches?.return(undefined))
      .finally(() => session.endSession())
      .catch(() => {});
    if (!signal.aborted) await over;
  }
}

async function* batchesOf<Found extends Document>(
  query: FindCursor<Found>,
): AsyncGenerator<Found[]> {
  const bounds = { countMax: batchSize, bytesMax: pageBytesMax };
  let budget = new Budget(bounds);
  let batch: Found[] = [];
  for await (const found of query) {
    const sizeBytes = BSON.calculateObjectSize(found);
    if (!budget.take(sizeBytes)) {
      yield batch;
      batch = [];
      budget = new Budget(bounds);
      budget.take(sizeBytes);
    }
    batch.push(found);
  }
  throwIfKilled(query);
  if (batch.length > 0) yield batch;
}
