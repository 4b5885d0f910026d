import type { Db } from 'mongodb';
import { fromMongo } from './from-mongo.ts';

const timeMaxMs = 5_000;

/** Reads outside of a transaction see what is durable, and are bounded. */
export const collectionOptions = {
  readConcern: { level: 'majority' },
  writeConcern: { w: 'majority' },
} as const satisfies Parameters<Db['collection']>[1];

/** Options of one bounded statement outside of a transaction. */
export function bounded(signal: AbortSignal): { maxTimeMS: number; signal: AbortSignal } {
  return { maxTimeMS: timeMaxMs, signal };
}

/** Awaits such a statement; refuses with DEPENDENCY_UNAVAILABLE where the store does not answer. */
export async function reading<T>(query: Promise<T>): Promise<T> {
  try {
    return await query;
  } catch (error) {
    throw fromMongo(error);
  }
}
