import { parseEventType } from '@silo/log/event-types.ts';
import type { LoggedEvent, LogService } from '@silo/log/log-reader.ts';

/** The log that events come from, and their subjects on NATS. */
export type EventSource = {
  service: LogService;
  region: string;
  /** Such as `silo.v1`. */
  subjectPrefix: string;
  /** The incarnation of the log. */
  incarnation: string;
};

/** One event as it is published. */
export type Envelope = {
  subject: string;
  /** `Nats-Msg-Id`, and the CloudEvents attributes of the NATS binding. */
  headers: Record<string, string>;
  /** Proto3 JSON of the message. */
  body: string;
};

/**
 * The position and id of an event, from its headers. The incarnation is empty in
 * events of an earlier release.
 */
export type Placed = { id: string; sequence: number; incarnation: string };

const sequenceDigits = 20;
const safeToken = /^[A-Za-z0-9_-]+$/;

/** The subjects of one service's events. */
export function serviceSubjects({
  service,
  subjectPrefix,
}: Pick<EventSource, 'service' | 'subjectPrefix'>): string {
  return `${subjectPrefix}.${service}.>`;
}

/**
 * Converts an event of the log to its form on the wire (docs/events.md). `repair` changes the
 * message id, so that the broker accepts an event again that it had and lost.
 */
export function envelopeOf(source: EventSource, event: LoggedEvent, repair?: string): Envelope {
  const { service, region, subjectPrefix, incarnation } = source;
  const { event: name = '' } = parseEventType(event.type) ?? {};
  for (const token of [name, event.subject]) {
    if (!safeToken.test(token)) throw new RangeError(`${token} cannot be part of a subject`);
  }
  return {
    subject: `${subjectPrefix}.${service}.${name}.${event.subject}`,
    headers: {
      'Nats-Msg-Id': repair === undefined ? event.id : `${event.id}:${repair}`,
      'ce-specversion': '1.0',
      'ce-id': event.id,
      'ce-type': event.type,
      'ce-source': `/silo/${region}/${service}`,
      'ce-subject': event.subject,
      'ce-time': event.time.toISOString(),
      'ce-datacontenttype': 'application/json',
      'ce-sequence': String(event.sequence).padStart(sequenceDigits, '0'),
      'ce-incarnation': incarnation,
      'ce-correlationid': event.correlationId,
      'ce-authid': event.actor,
      ...(event.traceparent !== undefined && { 'ce-traceparent': event.traceparent }),
    },
    body: event.bodyJson,
  };
}

/** The event of a message, by its headers; undefined if they are not those of an event. */
export function placedBy(header: (name: string) => string | undefined): Placed | undefined {
  const id = header('ce-id');
  const digits = header('ce-sequence');
  if (!id || digits === undefined || !/^[0-9]{20}$/.test(digits)) return undefined;
  return { id, sequence: Number(digits), incarnation: header('ce-incarnation') ?? '' };
}
