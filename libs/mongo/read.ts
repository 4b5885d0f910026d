import { race } from '@silo/runtime/deadline.ts';
import { type ClientSession, type Db, MongoNetworkError } from 'mongodb';
import { fromMongo } from './from-mongo.ts';

const timeMaxMs = 5_000;

/** Reads outside of a transaction see what is durable, and are bounded. */
export const collectionOptions = {
  readConcern: { level: 'majority' },
  writeConcern: { w: 'majority' },
} as const satisfies Parameters<Db['collection']>[1];

/** Options of one bounded statement outside of a transaction. */
export const bounded = { maxTimeMS: timeMaxMs } as const;

/**
 * Options of a read in a session. In a snapshot session the driver lets the read concern of the collection
 * stand, and each read sees another point in time, without an error.
 */
export function readIn(session: ClientSession): {
  session: ClientSession;
  readConcern?: { level: 'snapshot' };
} {
  return session.snapshotEnabled ? { session, readConcern: { level: 'snapshot' } } : { session };
}

/**
 * Awaits such a statement, until the signal at most; refuses with DEPENDENCY_UNAVAILABLE where the
 * store does not answer. The driver never gets the signal: it would close the pooled connection. An
 * abandoned statement ends within its own bound.
 */
export async function reading<T>(query: Promise<T>, signal?: AbortSignal): Promise<T> {
  try {
    return await (signal ? race(query, signal) : query);
  } catch (error) {
    throw fromMongo(error);
  }
}

/**
 * Throws where a cursor ended because its client was closed, as a replaced one is: the driver ends the
 * loop over it as if it had returned everything.
 */
export function throwIfKilled({ killed }: { killed: boolean }): void {
  if (killed) throw new MongoNetworkError('the cursor was closed before its end');
}
