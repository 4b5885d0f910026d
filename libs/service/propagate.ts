import { errors } from '@silo/errors/errors.ts';
import type { EventLog } from '@silo/mongo/event-log.ts';
import type { LogPosition, Propagation } from '@silo/protos/gen/silo/common/v1/propagation.ts';
import type { Propagate } from '@silo/rpc/propagation.ts';
import { retry } from '@silo/runtime/retry.ts';

/** The barrier of the registry of guards; `positions` are of the caller's own log. */
export type Barrier = {
  /** Waits until no view is left that lacks the positions. Rejects where nobody knows. */
  awaitBarrier(positions: LogPosition[], signal: AbortSignal): Promise<Propagation>;
};

// A registry that restarts is back within the call's deadline: a barrier may be begun again.
const attempts = { attemptsMax: 6, baseMs: 100, capMs: 1_000 };

/** How this service spreads what it has ended: the events get their numbers, then the barrier. */
export function createPropagate(eventLog: EventLog, { awaitBarrier }: Barrier): Propagate {
  const { service: source } = eventLog;
  return async (eventIds, signal) => {
    try {
      return await retry(
        async () => {
          const position = await eventLog.position(eventIds, signal);
          return await awaitBarrier([{ source, ...position }], signal);
        },
        { ...attempts, isRetryable: () => !signal.aborted, signal },
      );
    } catch (error) {
      throw errors.propagationUnconfirmed(error);
    }
  };
}
