import { errors } from '@silo/errors/errors.ts';
import {
  MongoBulkWriteError,
  MongoClientClosedError,
  MongoError,
  MongoErrorLabel,
  MongoNetworkError,
  MongoNotConnectedError,
  MongoServerError,
  MongoSystemError,
  MongoTopologyClosedError,
} from 'mongodb';

const duplicateKey = 11000;
const unauthorized = 13;

/** Whether a unique index was violated, or a document with the same `_id` exists. */
export function isDuplicateKey(error: unknown): error is MongoServerError {
  return error instanceof MongoServerError && error.code === duplicateKey;
}

/** Whether the transaction did not happen, and may be retried from its beginning. */
export function isTransient(error: unknown): boolean {
  return (
    error instanceof MongoError && error.hasErrorLabel(MongoErrorLabel.TransientTransactionError)
  );
}

/**
 * Whether the connection was lost. Before the commit of a transaction this is as transient as an
 * error with the driver's label, which the driver omits if another's failure has just cleared the
 * pool.
 */
export function isConnectionLost(error: unknown): boolean {
  return unwrapped(error) instanceof MongoNetworkError;
}

// The driver adds no label to errors with these codes.
const interruptedCodes: readonly unknown[] = [290, 11601];

/**
 * The server interrupted the statement: an operator or `endDeadTransactions` ended it, or the
 * transaction exceeded `transactionLifetimeLimitSeconds`. The server has aborted the transaction of
 * such a statement.
 */
export function isInterrupted(error: unknown): boolean {
  const inner = unwrapped(error);
  return inner instanceof MongoServerError && interruptedCodes.includes(inner.code);
}

/** The cause of a failed bulk write: the driver wraps every cause as a server error. */
function unwrapped(error: unknown): unknown {
  if (!(error instanceof MongoBulkWriteError)) return error;
  const inner: unknown = error.errorResponse;
  return inner instanceof MongoError ? inner : error;
}

// Errors that the driver throws if it reached no server, or is being closed; others are bugs of
// Silo.
const unavailableErrors = [
  MongoNetworkError,
  MongoSystemError,
  MongoNotConnectedError,
  MongoTopologyClosedError,
  MongoClientClosedError,
];

// Server errors about the server's state rather than the command: unreachable, not primary,
// shutting down, timed out, interrupted, conflicts, lost cursors, changed passwords, points in time
// that cannot be read any more or yet; from src/mongo/base/error_codes.yml.
const unavailableCodes = new Set<number | string | undefined>([
  ...[6, 7, 18, 89, 91, 189, 9001, 10058, 10107, 11600, 11602, 13435, 13436, 134, 133, 262],
  ...[43, 50, 64, 100, 112, 202, 239, 246, 251, 290, 317, 365, 11601],
]);

/**
 * The error that a caller gets for a failure of the driver: DEPENDENCY_UNAVAILABLE if the server
 * did not answer, was not primary, or gave up after contention. All other errors, including bugs of
 * Silo, are returned unchanged.
 */
export function fromMongo(error: unknown): unknown {
  const inner = unwrapped(error);
  if (inner instanceof MongoServerError && inner.code === unauthorized) {
    // The error's own message quotes the command, with every document in it.
    const cause = new Error(
      `MongoDB refuses a command (${inner.codeName}): the user lacks a right`,
    );
    return errors.dependencyUnavailable('mongodb', cause);
  }
  return isUnavailable(inner) ? errors.dependencyUnavailable('mongodb', error) : error;
}

function isUnavailable(error: unknown): boolean {
  if (isTransient(error)) return true;
  if (error instanceof MongoServerError) return unavailableCodes.has(error.code);
  // The driver does not export this class.
  if (error instanceof MongoError && error.name === 'MongoWaitQueueTimeoutError') return true;
  return unavailableErrors.some((type) => error instanceof type);
}
