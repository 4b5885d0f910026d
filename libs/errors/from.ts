import { errors } from './errors.ts';
import { isServiceError } from './from-status.ts';
import { SiloError } from './silo-error.ts';

/** What the funnel knows of the call in which something was thrown. */
export type CallState = {
  /** Finds the log lines of a bug. */
  callId: string;
  /** How the call ended, where it ended before the error came. */
  ended?: 'cancelled' | 'deadline' | undefined;
};

// The driver's names: https://mongodb.github.io/node-mongodb-native/ (errors by whose fault it is).
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
 * The single funnel: whatever was thrown, as a refusal. A refusal stays as it is; a dependency's or
 * the store's failure is DEPENDENCY_UNAVAILABLE; an abort is CALL_ENDED; anything else is a bug,
 * INTERNAL, with the cause kept for the log and never sent.
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
  // Transient by the server's own word: stepped down, shutting down, or a conflict not retried.
  if (!('hasErrorLabel' in error) || typeof error.hasErrorLabel !== 'function') return false;
  const hasLabel: (label: string) => unknown = error.hasErrorLabel.bind(error);
  return transientLabels.some((label) => hasLabel(label) === true);
}
