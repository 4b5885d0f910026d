import { Budget } from '@silo/runtime/budget.ts';
import { BSON, type Collection, type Document, type Filter, type Sort } from 'mongodb';
import { fromMongo } from './from-mongo.ts';
import { pageBytesMax } from './page.ts';

const timeMaxMs = 5_000;
const batchSize = 1_000;

/**
 * What a query of many documents finds, in batches of at most 1,000 documents and `pageBytesMax`
 * bytes of BSON, whichever comes first, as it stands now: everything that was
 * acknowledged before the call is seen, and what is answered is durable. One linearizable read shows
 * that the primary is one, and tells its time; the query follows causally. Refuses with
 * DEPENDENCY_UNAVAILABLE where the primary does not answer, or cannot prove in time that it still is
 * one.
 */
export async function* findAsOfNow<T extends Document, Found extends Document = T>(
  collection: Collection<T>,
  filter: Filter<T>,
  { signal, ...options }: { projection: Document; sort?: Sort; signal: AbortSignal },
): AsyncGenerator<Found[]> {
  const session = collection.db.client.startSession({ causalConsistency: true });
  const bounded = { session, signal, maxTimeMS: timeMaxMs };
  try {
    await collection.findOne(
      {},
      {
        ...bounded,
        projection: { _id: 1 },
        readConcern: { level: 'linearizable' },
        readPreference: 'primary',
      },
    );
    const found = collection.find<Found>(filter, {
      ...bounded,
      ...options,
      batchSize,
      readConcern: { level: 'majority' },
      readPreference: 'primary',
    });
    yield* batchesOf(found);
  } catch (error) {
    throw fromMongo(error);
  } finally {
    await session.endSession();
  }
}

async function* batchesOf<Found extends Document>(
  query: AsyncIterable<Found>,
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
  if (batch.length > 0) yield batch;
}
