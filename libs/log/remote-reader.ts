import { errors } from '@silo/errors/errors.ts';
import { SiloError } from '@silo/errors/silo-error.ts';
import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import type {
  EventLogServiceClient,
  ReadEventsResponse,
} from '@silo/protos/gen/silo/events/internal/v1/event_log_service.ts';
import type { Connected } from '@silo/rpc/client.ts';
import { systemSleep } from '@silo/runtime/clock.ts';
import type { EventBatch, LoggedEvent, LogReader, LogService } from './log-reader.ts';
import type { Position } from './position.ts';

const readDeadlineMs = 10_000;

/** Reads a log over the internal port of the service that owns it. */
export function remoteReader(
  service: LogService,
  client: Connected<EventLogServiceClient>,
): LogReader {
  const headOf = async (signal: AbortSignal): Promise<Position> => {
    const { head } = await client.getHead({}, { signal });
    if (head === undefined) throw errors.dependencyUnavailable(service);
    return head;
  };
  return {
    service,
    head: headOf,
    read: async ({ afterSequence, limit: batchSize }, signal) => {
      if (batchSize === 0) return { events: [], head: await headOf(signal) };
      const options = { signal, deadlineMs: readDeadlineMs, passRefusals: true };
      const request = { afterSequence, batchSize, follow: false };
      try {
        // One message is one batch. The caller requests the events after it from its next position.
        for await (const response of client.readEvents(request, options)) {
          const batch = fromResponse(response);
          if (batch !== undefined) return batch;
        }
      } catch (error) {
        const firstSequence = firstSequenceOf(error);
        if (firstSequence === undefined) throw error;
        return { events: [], head: await headOf(signal), firstSequence };
      }
      throw errors.dependencyUnavailable(service);
    },
    // The owner sends no hints, so its log may be past any sequence by then.
    wait: (_afterSequence, maxMs, signal) => systemSleep(maxMs, signal),
  };
}

/** The batch in a response of ReadEvents or a broadcast; undefined if it has no head. */
export function fromResponse({ events, head }: ReadEventsResponse): EventBatch | undefined {
  if (head === undefined || head.incarnation === '') return undefined;
  return { events: events.map(fromMessage), head };
}

/** The response of ReadEvents, or the broadcast, that carries a batch. */
export function toResponse({ events, head }: EventBatch): ReadEventsResponse {
  return { events: [...events], head };
}

function fromMessage({
  time = new Date(0),
  ...event
}: ReadEventsResponse['events'][number]): LoggedEvent {
  return { ...event, time };
}

/** The first sequence that a log still holds, from the error LOG_COMPACTED. */
function firstSequenceOf(error: unknown): number | undefined {
  const isCompacted =
    error instanceof SiloError && error.reason === ErrorReason.ERROR_REASON_LOG_COMPACTED;
  return isCompacted ? Number(error.metadata.first_sequence) : undefined;
}
