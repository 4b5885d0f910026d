import { type EventLog, recentFirst } from '@silo/log/event-log.ts';
import type { EventBatch, LogService } from '@silo/log/log-reader.ts';
import { fromResponse, toResponse } from '@silo/log/remote-reader.ts';
import { subscribe } from '@silo/log/subscribe.ts';
import { ReadEventsResponse } from '@silo/protos/gen/silo/events/internal/v1/event_log_service.ts';
import type { Log } from '@silo/runtime/log.ts';
import { noteEvent } from '@silo/runtime/tracing.ts';
import {
  type FindSecret,
  type MessageKey,
  openMessage,
  type RejectionReason,
  sealMessage,
} from './authentication.ts';
import type { NatsLink } from './connect.ts';
import { eventSpan } from './event-span.ts';
import { subscribeSubjects } from './subscribe-subjects.ts';

/** Maximum number of events in one message. */
const batchMax = 200;

/**
 * The subject of event batches. It is outside of the stream, which stores each event separately,
 * and stores all of them again after a loss.
 */
function broadcastSubject(subjectPrefix: string, service: LogService): string {
  return `numbered.${subjectPrefix}.${service}`;
}

type Broadcast = {
  eventLog: EventLog;
  nats: NatsLink;
  subjectPrefix: string;
  /** Undefined if there is no key; then nothing is sent. */
  signingKey: () => MessageKey | undefined;
  log: Log;
};

/**
 * Broadcasts events to guards as they are sequenced, until the signal. Each is sent at most once,
 * even if the stream loses events. A guard that misses a message reads the log after its next
 * renewal.
 */
export async function broadcastEvents(options: Broadcast, signal: AbortSignal): Promise<void> {
  const { eventLog, log } = options;
  let sent: { incarnation: string; sequence: number } | undefined;
  await subscribe(
    recentFirst(eventLog),
    (head) => (sent?.incarnation === head.incarnation ? sent.sequence : head.sequence),
    async (batch) => {
      if (batch.events.length > 0) publish(options, batch);
      const { incarnation } = batch.head;
      sent = { incarnation, sequence: batch.events.at(-1)?.sequence ?? batch.head.sequence };
      return undefined;
    },
    { name: 'broadcast', batchMax, signal, log },
  );
}

/** Publishes a batch in as few messages as the server accepts. */
function publish(options: Broadcast, batch: EventBatch): void {
  const { eventLog, nats, subjectPrefix, signingKey } = options;
  const key = signingKey();
  if (key === undefined) return;
  const subject = broadcastSubject(subjectPrefix, eventLog.service);
  const payload = ReadEventsResponse.encode(toResponse(batch)).finish();
  const bytes = sealMessage(key, subject, payload);
  if (bytes.length <= nats.payloadMax) {
    nats.publish(subject, bytes);
    for (const event of batch.events) noteEvent(event, eventSpan('broadcast', event, 'producer'));
    return;
  }
  const { events, head } = batch;
  if (events.length === 1) return;
  const half = Math.ceil(events.length / 2);
  publish(options, { events: events.slice(0, half), head });
  publish(options, { events: events.slice(half), head });
}

/**
 * Receives the event batches of these services until disposed of. Delivery is not guaranteed.
 * Messages that are not authentic are ignored.
 */
export function subscribeBroadcasts<Service extends LogService>(
  nats: NatsLink,
  options: {
    subjectPrefix: string;
    services: readonly Service[];
    onBatch(service: Service, batch: EventBatch): void;
    /** Called for an authentic message that is not an event batch. */
    onMalformed(service: Service): void;
    findSecret: FindSecret;
    /** Called for a message that is not authentic, or not an event batch. */
    onIgnored(subject: string, reason: RejectionReason): void;
    /** Called when the subscription becomes active: earlier batches may have been missed. */
    onLive(): void;
    log: Log;
  },
): Disposable {
  const { subjectPrefix, services, onBatch, onMalformed, findSecret, onIgnored, onLive, log } =
    options;
  const serviceOf = new Map(services.map((each) => [broadcastSubject(subjectPrefix, each), each]));
  return subscribeSubjects(nats, {
    subjects: [...serviceOf.keys()],
    onLive,
    log,
    onMessage: (bytes, subject) => {
      const service = serviceOf.get(subject);
      if (service === undefined) return;
      const opened = openMessage(subject, bytes, findSecret);
      if (typeof opened === 'string') return onIgnored(subject, opened);
      const batch = decode(opened.payload);
      if (batch !== undefined) return onBatch(service, batch);
      onIgnored(subject, 'malformed');
      onMalformed(service);
    },
  });
}

function decode(bytes: Uint8Array): EventBatch | undefined {
  try {
    return fromResponse(ReadEventsResponse.decode(bytes));
  } catch {
    return undefined;
  }
}
