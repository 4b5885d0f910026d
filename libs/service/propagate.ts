import { errors } from '@silo/errors/errors.ts';
import type { Registry } from '@silo/guard/registry-client.ts';
import type { EventLog } from '@silo/log/event-log.ts';
import type { Propagation } from '@silo/protos/gen/silo/common/v1/propagation.ts';
import type { Propagate } from '@silo/rpc/propagation.ts';
import type { Metrics } from '@silo/runtime/metrics.ts';
import { retry } from '@silo/runtime/retry.ts';
import { traced } from '@silo/runtime/tracing.ts';
import { Histogram } from 'prom-client';

// A registry that restarts is back within the call's deadline, so a barrier may be begun again.
const attempts = { attemptsMax: 12, baseMs: 100, capMs: 1_000 };

/**
 * The outcomes: all guards acknowledged the change; some did not, and their leases expired or were
 * released; or it was not confirmed in time.
 */
const barrierOutcomes = ['acknowledged', 'expired', 'unconfirmed'] as const;
type BarrierOutcome = (typeof barrierOutcomes)[number];

/**
 * How this service propagates what a change has ended: the events are sequenced, then the barrier
 * waits.
 */
export function createPropagate(
  eventLog: EventLog,
  registry: Pick<Registry, 'awaitBarrier'>,
  metrics: Metrics,
): Propagate {
  const { service: source } = eventLog;
  const waits = new Histogram({
    name: 'silo_barrier_wait_seconds',
    help: 'Time that a change which ends access waited for guards, by outcome.',
    labelNames: ['outcome'],
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    registers: [metrics],
  });
  // Prometheus shows no increase for a series that begins at 1.
  for (const outcome of barrierOutcomes) waits.zero({ outcome });
  return async (eventIds, signal) => {
    const startedMs = performance.now();
    const end = (outcome: BarrierOutcome) =>
      waits.observe({ outcome }, (performance.now() - startedMs) / 1_000);
    try {
      const propagation = await traced({ name: 'revocation barrier', kind: 'internal' }, () =>
        retry(
          async () => {
            const position = await eventLog.position(eventIds, signal);
            return await registry.awaitBarrier({ [source]: position }, signal);
          },
          { ...attempts, isRetryable: () => !signal.aborted, signal },
        ),
      );
      end(outcomeOf(propagation));
      return propagation;
    } catch (error) {
      end('unconfirmed');
      throw errors.propagationUnconfirmed(error);
    }
  };
}

function outcomeOf({ expired = 0 }: Propagation): BarrierOutcome {
  return expired > 0 ? 'expired' : 'acknowledged';
}
