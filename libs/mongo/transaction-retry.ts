import { Authorization } from '@silo/access/authorization.ts';
import { errors } from '@silo/errors/errors.ts';
import { systemSleep } from '@silo/runtime/clock.ts';
import { fullJitterMs } from '@silo/runtime/random.ts';
import { type ClientSession, type MongoClient, MongoErrorLabel, MongoServerError } from 'mongodb';
import { endDeadTransactions, endTransaction } from './dead-transactions.ts';
import { isConnectionLost, isInterrupted, isTransient } from './from-mongo.ts';

// A conflict costs a round trip or two and clears as fast: many short tries, then a pause.
const attemptsMax = 100;
const backoff = { baseMs: 4, capMs: 250 };
/** After so many attempts, and so many more, the conflicting transaction may belong to a dead process. */
const attemptsUntilDoubt = 5;
const commitAttemptsMax = 8;
const commitBackoff = { baseMs: 50, capMs: 1_000 };
/** The server's time for a commit. */
const commitMsMax = 3_000;
/** With less left of a permit, no transaction is begun. */
const permitMsMin = 200;
/**
 * What a commit has of the permits that it rests on. The server carries it out within this time from its
 * arrival or not at all, and it is sent only if twice the time is left: so it ends before the permits
 * do, unless its way to the server takes as long again. The way includes the time that it waits in the
 * driver, for a connection or for a primary. One that arrives later still is carried out while the
 * server has the transaction open (`transactionLifetimeLimitSeconds`), whatever was revoked meanwhile.
 * The body may take half of what is left.
 */
const commitShare = 1 / 4;

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
 * unless it ends before the permits of `authorization`: else refuses with DEPENDENCY_UNAVAILABLE. They
 * are released once it has happened, and kept where it has not, or where that is unknown.
 * Not `retry`: every fifth attempt first ends what dead processes have left open.
 */
export async function transact<T>(
  client: MongoClient,
  options: {
    signal: AbortSignal;
    authorization?: Authorization | undefined;
    /** The server's time for the commit at most, where it must be shorter than usual. */
    commitTimeMaxMs?: number | undefined;
    /** Takes a commit that is answered only when a permit is over as CommitUnknown. */
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
    // A session of its own for each attempt: its operation time then belongs to this attempt alone.
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
      // Else a commit that is still on its way is carried out when it arrives.
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
      if (isDefinite(error)) throw error;
      if (attempt >= commitAttemptsMax || signal.aborted) throw new CommitUnknown(error);
      await systemSleep(fullJitterMs(attempt, commitBackoff), signal).catch(() => {});
      // The lost one may never have arrived: then the repeat would be what decides.
      if (!endsWithinPermits()) throw new CommitUnknown(error);
    }
  }
}

/**
 * Marks a failure of a statement, so that `transact` runs its body again: what the statement conflicted
 * with has ended since the transaction's snapshot.
 */
export function asTransient(error: MongoServerError): MongoServerError {
  error.addErrorLabel(MongoErrorLabel.TransientTransactionError);
  return error;
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
