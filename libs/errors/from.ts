import { errors } from './errors.ts';
import { isServiceError } from './from-status.ts';
import { SiloError } from './silo-error.ts';

/** What is known about the call in which the error was thrown. */
export type CallState = {
  /** Identifies the log lines of the call. */
  callId: string;
  /** How the call ended, if it ended before the error was thrown. */
  ended?: 'cancelled' | 'deadline' | undefined;
};

// Error names of the driver: https://mongodb.github.io/node-mongodb-native/
const storeFailures = new Set([
  'MongoNetworkError',
  'MongoNetworkTimeoutError',
  'MongoServerSelectionError',
  'MongoOperationTimeoutError',
  'MongoNotConnectedError',
  'MongoTopologyClosedError',
  'MongoPoolClosedError',
  'MongoPoolClearedError',
  'MongoWaitQueueTimeoutError',
]);

const transientLabels = [
  'TransientTransactionError',
  'RetryableWriteError',
  'UnknownTransactionCommitResult',
];

/**
 * Converts any thrown value to a SiloError. A SiloError is returned unchanged; a failure of a
 * dependency or the store becomes DEPENDENCY_UNAVAILABLE; an abort becomes CALL_ENDED; anything
 * else is a bug and becomes INTERNAL, with the cause kept for the log and never sent.
 */
export function from(thrown: unknown, { callId, ended }: CallState): SiloError {
  if (thrown instanceof SiloError) return thrown;
  if (ended !== undefined) return errors.callEnded(ended);
  if (isServiceError(thrown)) return errors.dependencyUnavailable('another service', thrown);
  if (!(thrown instanceof Error)) return errors.internal(callId, thrown);
  if (thrown.name === 'AbortError') return errors.callEnded('cancelled');
  if (thrown.name === 'TimeoutError') return errors.callEnded('deadline');
  if (isStoreFailure(thrown)) return errors.dependencyUnavailable('the store', thrown);
  return errors.internal(callId, thrown);
}

function isStoreFailure(error: Error): boolean {
  if (storeFailures.has(error.name)) return true;
  // The server labels these as transient: stepdown, shutdown, or a write conflict.
  if (!('hasErrorLabel' in error) || typeof error.hasErrorLabel !== 'function') return false;
  const hasLabel: (label: string) => unknown = error.hasErrorLabel.bind(error);
  return transientLabels.some((label) => hasLabel(label) === true);
}
