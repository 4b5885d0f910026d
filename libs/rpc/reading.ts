import { errors } from '@silo/errors/errors.ts';
import type { RateLimit } from '@silo/errors/rate-limit.ts';
import { fairLimit } from '@silo/runtime/fair-limit.ts';
import { type Call, keyCaller } from './call.ts';

/** Of 100 connections to MongoDB: large reads of one account leave the others to all other calls. */
const places = { atOnce: 24, ofOwner: 6, waitingOfOwner: 200 };
const retryMs = 1_000;

/** Runs a read whose cost grows with what is stored when it is its account's turn. */
export type Reading = <T>(call: Call, read: () => Promise<T>) => Promise<T>;

/**
 * The turns of one kind of reads in one process. Rejects with RATE_LIMITED of that limit where too many
 * of the account wait. Not for mutations: one that waits holds its permits, and with them revocations.
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
