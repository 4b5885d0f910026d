import { bounded, collectionOptions, reading } from '@silo/mongo/read.ts';
import { type Db, MongoServerError } from 'mongodb';
import { byTime, type CapturedEventDocument, collectionName } from './event-collection.ts';

const countMsMax = 2_000;
/** Number of documents whose mean size is used for all. */
const sampleSize = 200;
const outOfTime = 50;

/**
 * The estimated number of a project's events and their bytes; undefined if counting takes too long.
 */
type EventEstimate = { events: number | undefined; bytes: number | undefined };

/** Estimates how much a copy of a project has to transfer. */
export type EstimateEvents = (projectId: string, signal: AbortSignal) => Promise<EventEstimate>;

export function createEventEstimate(db: Db): EstimateEvents {
  const events = db.collection<CapturedEventDocument>(collectionName, collectionOptions);

  const count = async (projectId: string, signal: AbortSignal): Promise<number | undefined> => {
    const options = { hint: byTime, maxTimeMS: countMsMax };
    try {
      const counted = events.countDocuments({ '_id.project': projectId }, options);
      return await reading(counted, signal);
    } catch (error) {
      if (isOutOfTime(error)) return undefined;
      throw error;
    }
  };

  return async (projectId, signal) => {
    const options = { ...bounded, hint: byTime, limit: sampleSize, raw: true };
    const newest = { time: -1 as const, '_id.uuid': -1 as const };
    const query = events.find({ '_id.project': projectId }, { ...options, sort: newest });
    const sample = (await reading(query.toArray(), signal)) as unknown as Uint8Array[];
    const sampleBytes = sample.reduce((sum, { byteLength }) => sum + byteLength, 0);
    const found = await count(projectId, signal);
    if (found === undefined) return { events: undefined, bytes: undefined };
    const mean = sample.length === 0 ? 0 : sampleBytes / sample.length;
    return { events: found, bytes: Math.round(found * mean) };
  };
}

/** Also recognizes the error as the cause of DEPENDENCY_UNAVAILABLE, as `reading` wraps it. */
function isOutOfTime(error: unknown): boolean {
  const server = error instanceof Error && error.cause !== undefined ? error.cause : error;
  return server instanceof MongoServerError && server.code === outOfTime;
}
