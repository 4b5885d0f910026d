import { SiloError } from '@silo/errors/silo-error.ts';
import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import type {
  Head,
  LoggedEvent,
  ReadEventsRequest,
  ReadEventsResponse,
} from '@silo/protos/gen/silo/events/internal/v1/event_log_service.ts';
import { systemSleep } from '@silo/runtime/clock.ts';
import type { Log } from '@silo/runtime/log.ts';
import { equalJitterMs } from '@silo/runtime/random.ts';

const backoff = { baseMs: 100, capMs: 5_000 };

type Options = {
  /** Names the log that is followed, in our own. */
  name: string;
  /** Calls ReadEvents of the log's owner; must end with the signal. */
  read(request: ReadEventsRequest, signal: AbortSignal): AsyncIterable<ReadEventsResponse>;
  /** Where to begin: the last sequence that the consumer has. */
  afterSequence: number;
  /**
   * Takes what comes, in order; called at least once per connection, then perhaps without events.
   * Where it throws, the same events come again. Must bear to see an event twice.
   */
  onEvents(events: LoggedEvent[], head: Head): Promise<void>;
  signal: AbortSignal;
  log: Log;
};

/**
 * Follows another service's log until the signal, through every loss of connection. Rejects with
 * LOG_COMPACTED where the log no longer holds the next event: start over from a fresh snapshot.
 */
export async function followLog(options: Options): Promise<void> {
  const { name, signal, log, onEvents, read } = options;
  let { afterSequence } = options;
  let failures = 0;
  while (!signal.aborted) {
    try {
      const request = { afterSequence, batchSize: 0, follow: true };
      for await (const { events, head } of read(request, signal)) {
        if (head === undefined) throw new TypeError(`the log of ${name} tells no head`);
        await onEvents(events, head);
        afterSequence = events.at(-1)?.sequence ?? afterSequence;
        failures = 0;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (isCompacted(error)) throw error;
      failures++;
      log.warn({ name, failures, err: error }, 'following a log was interrupted');
    }
    // A stream that ends by itself came to its deadline: go on at once, but never in a spin.
    const pauseMs = equalJitterMs(Math.max(1, failures), backoff);
    await systemSleep(pauseMs, signal).catch(() => {});
  }
}

function isCompacted(error: unknown): boolean {
  return error instanceof SiloError && error.reason === ErrorReason.ERROR_REASON_LOG_COMPACTED;
}
