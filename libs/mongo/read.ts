import { race } from '@silo/runtime/deadline.ts';
import { type ClientSession, type Db, MongoNetworkError } from 'mongodb';
import { fromMongo } from './from-mongo.ts';

const timeMaxMs = 5_000;

/** Reads outside of a transaction see only durable data, and have a time limit. */
export const collectionOptions = {
  readConcern: { level: 'majority' },
  writeConcern: { w: 'majority' },
} as const satisfies Parameters<Db['collection']>[1];

/** Options of one statement with a time limit, outside of a transaction. */
export const bounded = { maxTimeMS: timeMaxMs } as const;

/**
 * Options of a read in a session. In a snapshot session the driver would keep the read concern of
 * the collection, and each read would see another point in time, without an error.
 */
export function readIn(session: ClientSession): {
  session: ClientSession;
  readConcern?: { level: 'snapshot' };
} {
  return session.snapshotEnabled ? { session, readConcern: { level: 'snapshot' } } : { session };
}

/**
 * Awaits such a statement until the signal; refuses with DEPENDENCY_UNAVAILABLE if the store does
 * not answer. The driver never gets the signal, at which it would close the pooled connection. An
 * abandoned statement ends within its own time limit.
 */
export async function reading<T>(query: Promise<T>, signal?: AbortSignal): Promise<T> {
  try {
    return await (signal ? race(query, signal) : query);
  } catch (error) {
    throw fromMongo(error);
  }
}

/**
 * Throws if a cursor ended because its client was closed, as a replaced client is: the driver ends
 * the loop over the cursor as if it had returned everything.
 */
export function throwIfKilled({ killed }: { killed: boolean }): void {
  if (killed) throw new MongoNetworkError('the cursor was closed before its end');
}
