import type { EventLog, Head } from '@silo/log/event-log.ts';
import type {
  GetHeadRequest,
  GetHeadResponse,
  ReadEventsRequest,
  ReadEventsResponse,
} from '@silo/protos/gen/silo/events/internal/v1/event_log_service.ts';
import { pageOf } from './pages.ts';

const batchSizeDefault = 500;
const batchSizeMax = 1_000;
/** How often the log is read without a hint: a restored backup gives none. */
const pollMs = 5_000;

/** What the handlers need to know of a call. */
type LogCall = { signal: AbortSignal };

/** Handler of ReadEvents: what follows a sequence, to the head, and with `follow` beyond it. */
export function readEvents(
  eventLog: EventLog,
): (request: ReadEventsRequest, call: LogCall) => AsyncIterable<ReadEventsResponse> {
  return async function* readEvents(request, { signal }) {
    const limit = Math.min(request.batchSize || batchSizeDefault, batchSizeMax);
    let afterSequence = request.afterSequence;
    for (let isFirst = true; ; isFirst = false) {
      const { events, head } = await eventLog.read({ afterSequence, limit }, signal);
      afterSequence = events.at(-1)?.sequence ?? afterSequence;
      if (isFirst || events.length > 0) {
        yield pageOf(eventLog.service, events, head);
      }
      if (afterSequence < head.sequence) continue;
      if (!request.follow) return;
      await eventLog.past(afterSequence, pollMs, signal);
    }
  };
}

/** Handler of GetHead: numbers everything that was committed before the call, then tells the head. */
export function getHead(
  eventLog: EventLog,
): (request: GetHeadRequest, call: LogCall) => Promise<GetHeadResponse> {
  return async function getHead(_request, { signal }) {
    const head: Head = await eventLog.numberNow(signal);
    return { head };
  };
}
