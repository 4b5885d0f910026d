import { errors } from '@silo/errors/errors.ts';
import { MongoError, MongoErrorLabel, MongoServerError } from 'mongodb';

const duplicateKey = 11000;

/** A unique index, or another document of the same `_id`, stands in the way. */
export function isDuplicateKey(error: unknown): error is MongoServerError {
  return error instanceof MongoServerError && error.code === duplicateKey;
}

/** The transaction did not happen, and may be tried again from its beginning. */
export function isTransient(error: unknown): boolean {
  return (
    error instanceof MongoError && error.hasErrorLabel(MongoErrorLabel.TransientTransactionError)
  );
}

// Server errors that speak of the server's state, not of our command. All but the last stand for
// "not primary", "shutting down" or "in time", from src/mongo/base/error_codes.yml.
const unavailableCodes = new Set<number | string | undefined>([
  ...[6, 7, 89, 91, 189, 9001, 10058, 10107, 11600, 11602, 13435, 13436, 134, 133, 262],
  ...[50, 64, 100, 112, 202, 251, 317, 365],
]);

/**
 * What a caller is told of a failure of the driver: DEPENDENCY_UNAVAILABLE where the server did not
 * answer, was no primary, or gave in to contention. Anything else, a bug of ours too, stays as it is.
 */
export function fromMongo(error: unknown): unknown {
  if (!(error instanceof MongoError)) return error;
  const isOurs = error instanceof MongoServerError && !isTransient(error);
  if (isOurs && !unavailableCodes.has(error.code)) return error;
  return errors.dependencyUnavailable('mongodb', error);
}
