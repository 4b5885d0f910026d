import { Authorization } from '@silo/access/authorization.ts';
import { errors } from '@silo/errors/errors.ts';
import { systemSleep } from '@silo/runtime/clock.ts';
import { fullJitterMs } from '@silo/runtime/random.ts';
import {
  type ClientSession,
  type MongoClient,
  MongoErrorLabel,
  type MongoServerError,
} from 'mongodb';
import { endDeadTransactions, endTransaction } from './dead-transactions.ts';
import { isConnectionLost, isInterrupted, isTransient } from './from-mongo.ts';

// A conflict costs a round trip or two and ends as fast, so there are many short attempts, then a
// pause.
const attemptsMax = 100;
const backoff = { baseMs: 4, capMs: 250 };
/**
 * After this number of attempts, and each time after as many more, the conflicting transaction may
 * belong to a dead process.
 */
const attemptsUntilDoubt = 5;
const commitAttemptsMax = 8;
const commitBackoff = { baseMs: 50, capMs: 1_000 };
/** The server's time limit for a commit. */
const commitMsMax = 3_000;
/** A transaction is begun only if at least this much of a permit is left. */
const permitMsMin = 200;
/**
 * The share of the remaining permits that the commit may take. The server executes the commit
 * within this time from its arrival or not at all, and it is sent only if twice the time is left:
 * so it ends before the permits do, unless it takes as long again to reach the server. That
 * includes the time in the driver, waiting for a connection or a primary. A commit that arrives
 * later is still executed while the server has the transaction open
 * (`transactionLifetimeLimitSeconds`), whatever was revoked meanwhile. The body may take half of
 * the remaining time.
 */
const commitShare = 1 / 4;

/** The outcome of the commit is unknown, and must be read from a record. */
export class CommitUnknown extends Error {
  override readonly name = 'CommitUnknown';

  constructor(cause: unknown) {
    super('the outcome of a commit is unknown', { cause });
  }
}

/**
 * Runs `body` in one transaction with snapshot reads and a majority commit. After a conflict or the
 * loss of the primary it runs `body` again in a new session, so `body` must be safe to repeat; any
 * other error aborts. If conflicts persist, transactions that dead processes have left open are
 * ended. A commit whose answer is lost, or does not prove that nothing was committed, is repeated,
 * which MongoDB makes idempotent by the transaction's number. Ends with the signal between
 * statements; throws driver errors unchanged, and CommitUnknown.
 * A commit is sent only if it ends before the permits of `authorization`; otherwise it refuses with
 * DEPENDENCY_UNAVAILABLE. Permits are released after the commit, and kept if it did not happen or
 * its outcome is unknown. Not `retry`, because every fifth attempt first ends transactions of dead
 * processes.
 */
export async function transact<T>(
  client: MongoClient,
  options: {
    signal: AbortSignal;
    authorization?: Authorization | undefined;
    /** Maximum time of the server for the commit, if it must be shorter than usual. */
    commitTimeMaxMs?: number | undefined;
    /** Treats a commit whose answer arrives after the end of a permit as CommitUnknown. */
    answersWithinPermits?: boolean;
  },
  body: (session: ClientSession) => Promise<T>,
): Promise<T> {
  const { signal, authorization = new Authorization(), commitTimeMaxMs = commitMsMax } = options;
  const { answersWithinPermits = false } = options;
  for (let attempt = 1; ; attempt++) {
    signal.throwIfAborted();
    const permitMs = authorization.requireHeld(permitMsMin);
    const commitTimeMs = Math.min(commitTimeMaxMs, permitMs * commitShare);
    // A session for each attempt, so that its operation time belongs to this attempt alone.
    const session = client.startSession({ causalConsistency: true });
    let isCommitting = false;
    try {
      session.startTransaction({
        readConcern: { level: 'snapshot' },
        writeConcern: { w: 'majority' },
        readPreference: 'primary',
        maxCommitTimeMS: Math.max(1, Math.ceil(commitTimeMs)), // 0 is no limit
      });
      const result = await body(session);
      signal.throwIfAborted();
      authorization.requireHeld(2 * commitTimeMs);
      isCommitting = true;
      await commit(session, signal, () => authorization.remainingMs >= 2 * commitTimeMs);
      if (answersWithinPermits && authorization.remainingMs === 0) {
        throw new CommitUnknown(new Error('a permit was over'));
      }
      authorization.release();
      return result;
    } catch (error) {
      // Otherwise a commit that is still on its way would be executed when it arrives.
      if (error instanceof CommitUnknown) await endTransaction(client, session).catch(() => {});
      const isGone = !isCommitting && (isConnectionLost(error) || isInterrupted(error));
      const isPassing = isTransient(error) || isGone;
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
  endsWithinPermits: () => boolean,
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await session.commitTransaction();
    } catch (error) {
      // MongoDB labels an answer as transient only if the transaction did not happen and never
      // will. Any other answer, such as Interrupted, may follow a commit that was carried out: by
      // this attempt, by an earlier one, or by the driver's own.
      if (isTransient(error)) throw error;
      if (attempt >= commitAttemptsMax || signal.aborted) throw new CommitUnknown(error);
      await systemSleep(fullJitterMs(attempt, commitBackoff), signal).catch(() => {});
      // The lost commit may never have arrived; then the repeat decides.
      if (!endsWithinPermits()) throw new CommitUnknown(error);
    }
  }
}

/**
 * Marks a statement's failure as transient, so that `transact` runs its body again: the conflicting
 * change has ended since the transaction's snapshot.
 */
export function asTransient(error: MongoServerError): MongoServerError {
  error.addErrorLabel(MongoErrorLabel.TransientTransactionError);
  return error;
}

/** The error that a caller gets if the outcome is unknown. */
export function fromUnknownCommit(error: unknown): unknown {
  return error instanceof CommitUnknown ? errors.dependencyUnavailable('mongodb', error) : error;
}
