import { errors } from '@silo/errors/errors.ts';
import type { RateLimit } from '@silo/errors/rate-limit.ts';
import { fairLimit } from '@silo/runtime/fair-limit.ts';
import { type Call, keyCaller } from './call.ts';

/**
 * Shares of the 100 connections to MongoDB: large reads of one account leave connections for other
 * calls.
 */
const places = { atOnce: 24, ofOwner: 6, waitingOfOwner: 200 };
const retryMs = 1_000;

/** Runs a read whose cost grows with the stored data, when it is its account's turn. */
export type Reading = <T>(call: Call, read: () => Promise<T>) => Promise<T>;

/**
 * The queue for one kind of reads in one process. Rejects with RATE_LIMITED of that limit if too
 * many reads of the account wait. Not for mutations: while one waits, it holds its permits and
 * delays revocations.
 */
export function createReading(limit: RateLimit): Reading {
  const inTurn = fairLimit(places);
  return (call, read) =>
    inTurn({ owner: keyCaller(call).key.accountId, signal: call.signal }, read).catch(
      (error: unknown) => {
        throw error instanceof RangeError ? errors.rateLimited(limit, retryMs) : error;
      },
    );
}
