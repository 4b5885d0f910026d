import { errors } from '@silo/errors/errors.ts';
import type { Registry } from '@silo/guard/registry-client.ts';
import type { EventLog } from '@silo/log/event-log.ts';
import type { Propagate } from '@silo/rpc/propagation.ts';
import { retry } from '@silo/runtime/retry.ts';
import { traced } from '@silo/runtime/tracing.ts';

// A registry that restarts is back within the call's deadline: a barrier may be begun again.
const attempts = { attemptsMax: 12, baseMs: 100, capMs: 1_000 };

/** How this service spreads what it has ended: the events get their numbers, then the barrier. */
export function createPropagate(
  eventLog: EventLog,
  registry: Pick<Registry, 'awaitBarrier'>,
): Propagate {
  const { service: source } = eventLog;
  return async (eventIds, signal) => {
    try {
      return await traced({ name: 'revocation barrier', kind: 'internal' }, () =>
        retry(
          async () => {
            const position = await eventLog.position(eventIds, signal);
            return await registry.awaitBarrier({ [source]: position }, signal);
          },
          { ...attempts, isRetryable: () => !signal.aborted, signal },
        ),
      );
    } catch (error) {
      throw errors.propagationUnconfirmed(error);
    }
  };
}
