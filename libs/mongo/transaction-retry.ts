import type { Authorization } from '@silo/access/authorization.ts';
import { errors } from '@silo/errors/errors.ts';
import { systemSleep } from '@silo/runtime/clock.ts';
import { fullJitterMs } from '@silo/runtime/random.ts';
import { type ClientSession, type MongoClient, MongoErrorLabel, MongoServerError } from 'mongodb';
import { endDeadTransactions } from './dead-transactions.ts';
import { isConnectionLost, isTransient } from './from-mongo.ts';

// A conflict costs a round trip or two and clears as fast: many short tries, then a pause.
const attemptsMax = 100;
const backoff = { baseMs: 4, capMs: 250 };
/** After this many attempts, the conflicting transaction may belong to a dead process. */
const attemptsUntilDoubt = 10;
const commitAttemptsMax = 8;
const commitBackoff = { baseMs: 50, capMs: 1_000 };
// Well below a lease. It bounds the server's work on a commit, from when that has arrived. What is
// left: a commit that was sent while every permit was held and reaches the server later, because
// this process or its network stood still in between, or because the driver repeated it once by
// itself, is carried out for as long as the server keeps the transaction open
// (`transactionLifetimeLimitSeconds`), whatever has been revoked meanwhile.
const commitTimeDefaultMs = 3_000;

/** The outcome of the commit is unknown: a record must show it. */
export class CommitUnknown extends Error {
  override readonly name = 'CommitUnknown';

  constructor(cause: unknown) {
    super('the outcome of a commit is unknown', { cause });
  }
}

/**
 * Runs `body` in one transaction: snapshot reads, majority commit. A conflict or a lost primary
 * runs it again in a new session, so it must be safe to repeat; what it throws otherwise aborts.
 * Where conflicts do not end, what dead processes have left open is ended. A commit whose answer is
 * lost is repeated, which MongoDB makes idempotent by the transaction's number. Ends with the
 * signal between statements; throws driver errors as they are, and CommitUnknown. No commit is sent
 * unless all permits of `authorization` are held: else refuses with DEPENDENCY_UNAVAILABLE. They
 * are released once it has happened, and kept where it has not, or where that is unknown.
 * Not `retry`: every tenth attempt first ends what dead processes have left open.
 */
export async function transact<T>(
  client: MongoClient,
  options: {
    signal: AbortSignal;
    authorization?: Authorization | undefined;
    /** The server's time for the commit, where it must be shorter than usual. */
    commitTimeMaxMs?: number;
  },
  body: (session: ClientSession) => Promise<T>,
): Promise<T> {
  const { signal, authorization, commitTimeMaxMs = commitTimeDefaultMs } = options;
  for (let attempt = 1; ; attempt++) {
    signal.throwIfAborted();
    authorization?.requireHeld();
    // A session of its own for each attempt: its operation time then belongs to this attempt alone.
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
      authorization?.requireHeld();
      isCommitting = true;
      await commit(session, signal, authorization);
      authorization?.release();
      return result;
    } catch (error) {
      const isPassing = isTransient(error) || (!isCommitting && isConnectionLost(error));
      if (!isPassing || attempt >= attemptsMax || signal.aborted) throw error;
    } finally {
      await session.endSession(); // aborts what is still open
    }
    // If that fails, a later attempt does it again.
    if (attempt % attemptsUntilDoubt === 0) await endDeadTransactions(client).catch(() => {});
    await systemSleep(fullJitterMs(attempt, backoff), signal);
  }
}

async function commit(
  session: ClientSession,
  signal: AbortSignal,
  authorization: Authorization | undefined,
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await session.commitTransaction();
    } catch (error) {
      if (isDefinite(error)) throw error;
      if (attempt >= commitAttemptsMax || signal.aborted) throw new CommitUnknown(error);
      await systemSleep(fullJitterMs(attempt, commitBackoff), signal).catch(() => {});
      // The lost one may never have arrived: then the repeat would be what decides.
      if (authorization?.isHeld === false) throw new CommitUnknown(error);
    }
  }
}

/** True if the error says for sure that nothing was committed. */
function isDefinite(error: unknown): boolean {
  if (isTransient(error)) return true; // NoSuchTransaction, durable at a majority
  if (!(error instanceof MongoServerError)) return false;
  return !error.hasErrorLabel(MongoErrorLabel.UnknownTransactionCommitResult);
}

/** The error that a caller gets if the outcome is unknown. */
export function fromUnknownCommit(error: unknown): unknown {
  return error instanceof CommitUnknown ? errors.dependencyUnavailable('mongodb', error) : error;
}
