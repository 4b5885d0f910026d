import type { EventLog, Head, LoggedEvent, LogService } from '@silo/log/event-log.ts';
import { ReadEventsResponse } from '@silo/protos/gen/silo/events/internal/v1/event_log_service.ts';
import type { Log } from '@silo/runtime/log.ts';
import { runForever } from '@silo/runtime/run-forever.ts';
import {
  type FindSecret,
  type MessageKey,
  openMessage,
  type RejectionReason,
  sealMessage,
} from './authentication.ts';
import type { NatsLink } from './connect.ts';
import { eventType } from './envelope.ts';
import { hear } from './hearing.ts';

/** How many events one message tells of at most. */
const pageMax = 200;
/** How often the log's head is read without a hint: a restored backup gives none. */
const pollMs = 5_000;

/** A part of a log as a message tells it. */
type HeardPage = ReadEventsResponse & { head: Head };

/**
 * Where guards hear what was numbered: outside of the stream, which holds each event by itself, and
 * all of them again after a loss.
 */
function pageSubject(subjectPrefix: string, service: LogService): string {
  return `numbered.${subjectPrefix}.${service}`;
}

/** Events of a log as messages tell them. */
export function pageOf(
  service: LogService,
  events: readonly LoggedEvent[],
  head: Head,
): ReadEventsResponse {
  const told = events.map(({ event, ...rest }) => ({ ...rest, type: eventType(service, event) }));
  return { events: told, head };
}

type Broadcast = {
  eventLog: EventLog;
  nats: NatsLink;
  subjectPrefix: string;
  /** Undefined while there is none: then nothing is sent. */
  signingKey: () => MessageKey | undefined;
  log: Log;
};

/**
 * Tells guards of what is numbered from now on, once and at once, whatever happens to the stream,
 * until the signal. Where that is lost, the log and the next renewal tell.
 */
export async function tellPages(options: Broadcast, signal: AbortSignal): Promise<void> {
  const { eventLog, log } = options;
  let told: number | undefined;
  await runForever({ name: 'tell-pages', intervalMs: 0, signal, log }, async () => {
    told ??= (await eventLog.head(signal)).sequence;
    await eventLog.past(told, pollMs, signal);
    const range = { afterSequence: told, limit: pageMax };
    const { events, head } = eventLog.justNumbered(range) ?? (await eventLog.read(range, signal));
    if (events.length > 0) publishPage(options, pageOf(eventLog.service, events, head));
    told = events.at(-1)?.sequence ?? head.sequence;
  });
}

/** In as few messages as the server takes. */
function publishPage(options: Broadcast, page: ReadEventsResponse): void {
  const { eventLog, nats, subjectPrefix, signingKey } = options;
  const { events, head } = page;
  const key = signingKey();
  if (key === undefined) return;
  const subject = pageSubject(subjectPrefix, eventLog.service);
  const bytes = sealMessage(key, subject, ReadEventsResponse.encode(page).finish());
  if (bytes.length <= nats.payloadMax) {
    nats.publish(subject, bytes);
  } else if (events.length > 1) {
    const half = Math.ceil(events.length / 2);
    publishPage(options, { events: events.slice(0, half), head });
    publishPage(options, { events: events.slice(half), head });
  }
}

/**
 * Hears what is numbered in the logs of these services, until disposed of: nothing promises that all
 * of it is heard. A message that is not authentic is ignored: `onIgnored` counts it. `onUnclear` is
 * told of an authentic one that is no page of a log.
 */
export function hearPages<Service extends LogService>(
  nats: NatsLink,
  options: {
    subjectPrefix: string;
    services: readonly Service[];
    onPage(service: Service, page: HeardPage): void;
    onUnclear(service: Service): void;
    findSecret: FindSecret;
    onIgnored(subject: string, reason: RejectionReason): void;
    /** From now on pages are heard; those before may have been missed. */
    onLive(): void;
    log: Log;
  },
): Disposable {
  const { subjectPrefix, services, onPage, onUnclear, findSecret, onIgnored, onLive, log } =
    options;
  const serviceOf = new Map(services.map((each) => [pageSubject(subjectPrefix, each), each]));
  return hear(nats, {
    subjects: [...serviceOf.keys()],
    onLive,
    log,
    onMessage: (bytes, subject) => {
      const service = serviceOf.get(subject);
      if (service === undefined) return;
      const opened = openMessage(subject, bytes, findSecret);
      if (typeof opened === 'string') return onIgnored(subject, opened);
      const page = decode(opened.payload);
      if (page === undefined) onUnclear(service);
      else onPage(service, page);
    },
  });
}

function decode(bytes: Uint8Array): HeardPage | undefined {
  try {
    const { events, head } = ReadEventsResponse.decode(bytes);
    return head === undefined || head.incarnation === '' ? undefined : { events, head };
  } catch {
    return undefined;
  }
}
