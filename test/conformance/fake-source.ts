import type { ServerUnaryCall, ServerWritableStream, sendUnaryData } from '@grpc/grpc-js';
import { errors } from '@silo/errors/errors.ts';
import { toStatus } from '@silo/errors/to-status.ts';
import type { Source } from '@silo/guard/core/position.ts';
import { eventType } from '@silo/log/event-types.ts';
import type { Position } from '@silo/log/position.ts';
import type {
  EventLogServiceServer,
  GetHeadRequest,
  GetHeadResponse,
  LoggedEvent,
  ReadEventsRequest,
  ReadEventsResponse,
} from '@silo/protos/gen/silo/events/internal/v1/event_log_service.ts';
import { ulid } from 'ulid';

/** The log of one source in memory; the test appends to it, restores and compacts it. */
export class FakeSource {
  readonly source: Source;
  #lives = 1;
  #incarnation = ulid().toLowerCase();
  #events: LoggedEvent[] = [];
  #compactedTo = 0;

  constructor(source: Source) {
    this.source = source;
  }

  get head(): Position {
    return { incarnation: this.#incarnation, sequence: this.#events.length };
  }

  /** Appends an event; `name` is such as `revoked`. */
  append(name: string, body: object): LoggedEvent {
    const event = this.eventAt(this.#events.length + 1, name, body);
    this.#events.push(event);
    return event;
  }

  /** Such an event, without adding it to the log. */
  eventAt(sequence: number, name: string, body: object): LoggedEvent {
    return {
      ...{ sequence, id: ulid().toLowerCase(), type: eventType(this.source, name) },
      ...{ subject: 'subject', time: new Date(), correlationId: '', actor: 'acc_1' },
      bodyJson: JSON.stringify(body),
    };
  }

  /** Begins a later incarnation with an empty log, as if a backup had been restored. */
  restore(): void {
    this.#incarnation = ulid(Date.now() + 1_000 * this.#lives++).toLowerCase();
    this.#events = [];
    this.#compactedTo = 0;
  }

  /** Deletes all events. */
  compact(): void {
    this.#compactedTo = this.#events.length;
  }

  readonly service: EventLogServiceServer = {
    getHead: (
      _call: ServerUnaryCall<GetHeadRequest, GetHeadResponse>,
      answer: sendUnaryData<GetHeadResponse>,
    ) => answer(null, { head: this.head }),
    readEvents: (call: ServerWritableStream<ReadEventsRequest, ReadEventsResponse>) => {
      const { afterSequence } = call.request;
      if (afterSequence < this.#compactedTo) {
        call.emit('error', this.#compacted());
        return;
      }
      call.write({ events: this.#events.slice(afterSequence), head: this.head });
      call.end();
    },
  };

  #compacted() {
    return toStatus(errors.logCompacted(this.#compactedTo + 1));
  }
}
