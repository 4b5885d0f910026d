import { errors } from '@silo/errors/errors.ts';
import { systemSleep } from '@silo/runtime/clock.ts';
import { fullJitterMs } from '@silo/runtime/random.ts';
import { type ClientSession, type MongoClient, MongoErrorLabel, MongoServerError } from 'mongodb';
import { isConnectionLost, isTransient } from './from-mongo.ts';

// A conflict costs a round trip or two and clears as fast: many short tries, then a pause.
const attemptsMax = 100;
const backoff = { baseMs: 4, capMs: 250 };
const commitAttemptsMax = 8;
const commitBackoff = { baseMs: 50, capMs: 1_000 };
const commitTimeMaxMs = 5_000;

/** Whether a transaction was committed could not be learned: a record must tell. */
export class CommitUnknown extends Error {
  override readonly name = 'CommitUnknown';
}

/**
 * Runs `body` in one transaction: snapshot reads, majority commit. A conflict or a lost primary runs
 * it again in a new session, so it must be safe to repeat; what it throws otherwise aborts. A commit
 * whose answer is lost is repeated, which MongoDB makes idempotent by the transaction's number.
 * Ends with the signal between statements; throws driver errors as they are, and CommitUnknown.
 */
export async function transact<T>(
  client: MongoClient,
  signal: AbortSignal,
  body: (session: ClientSession) => Promise<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    signal.throwIfAborted();
    // A session of its own for each attempt: its operation time then tells of this attempt alone.
    const session = client.startSession({ causalConsistency: true });
    let isCommitting = false;
    try {
      session.startTransaction({
        readConcern: { level: 'snapshot' },
        writeConcern: { w: 'majority' },
        readPreference: 'primary',
        maxCommitTimeMS: commitTimeMaxMs,
      });
      const result = await body(session);
      signal.throwIfAborted();
      isCommitting = true;
      await commit(session, signal);
      return result;
    } catch (error) {
      const isPassing = isTransient(error) || (!isCommitting && isConnectionLost(error));
      if (!isPassing || attempt >= attemptsMax || signal.aborted) throw error;
    } finally {
      await session.endSession(); // aborts what is still open
    }
    await systemSleep(fullJitterMs(attempt, backoff), signal);
  }
}

async function commit(session: ClientSession, signal: AbortSignal): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await session.commitTransaction();
    } catch (error) {
      if (isDefinite(error)) throw error;
      if (attempt >= commitAttemptsMax || signal.aborted) {
        throw new CommitUnknown('the outcome of a commit is unknown', { cause: error });
      }
    }
    await systemSleep(fullJitterMs(attempt, commitBackoff), signal).catch(() => {});
  }
}

/** True if the error says for sure that nothing was committed. */
function isDefinite(error: unknown): boolean {
  if (isTransient(error)) return true; // NoSuchTransaction, durable at a majority
  if (!(error instanceof MongoServerError)) return false;
  return !error.hasErrorLabel(MongoErrorLabel.UnknownTransactionCommitResult);
}

/** What a caller is told where the outcome stayed unknown. */
export function fromUnknownCommit(error: unknown): unknown {
  return error instanceof CommitUnknown ? errors.dependencyUnavailable('mongodb', error) : error;
}
