import { errors } from '@silo/errors/errors.ts';
import type {
  GetHeadRequest,
  GetHeadResponse,
  ReadEventsRequest,
  ReadEventsResponse,
} from '@silo/protos/gen/silo/events/internal/v1/event_log_service.ts';
import type { LogReader } from './log-reader.ts';
import { toResponse } from './remote-reader.ts';
import { batchesAfter } from './subscribe.ts';

const batchSizeDefault = 500;
const batchSizeMax = 1_000;

/** The part of a call that the handlers use. */
type LogCall = { signal: AbortSignal };

/**
 * Handler of ReadEvents: sends the events after a sequence, up to the head, and with `follow` also
 * later ones.
 */
export function readEvents(
  reader: LogReader,
): (request: ReadEventsRequest, call: LogCall) => AsyncIterable<ReadEventsResponse> {
  return async function* readEvents({ afterSequence, batchSize, follow }, { signal }) {
    const batchMax = Math.min(batchSize || batchSizeDefault, batchSizeMax);
    let isFirst = true;
    for await (const batch of batchesAfter(reader, afterSequence, { batchMax, signal })) {
      const { events, head, firstSequence } = batch;
      if (firstSequence !== undefined) throw errors.logCompacted(firstSequence);
      if (isFirst || events.length > 0) yield toResponse(batch);
      isFirst = false;
      const reached = events.at(-1)?.sequence ?? head.sequence;
      if (!follow && reached >= head.sequence) return;
    }
  };
}

/** Handler of GetHead: sequences everything that was committed before the call. */
export function getHead(
  reader: LogReader,
): (request: GetHeadRequest, call: LogCall) => Promise<GetHeadResponse> {
  return async function getHead(_request, { signal }) {
    return { head: await reader.head(signal) };
  };
}
