import { pageBytesMax } from '@silo/mongo/page.ts';
import { bounded, reading } from '@silo/mongo/read.ts';
import { Budget } from '@silo/runtime/budget.ts';
import type { LogCollections } from './collections.ts';
import type { EventDocument, LogDocument } from './documents.ts';
import { eventType } from './event-types.ts';
import type { EventBatch, LoggedEvent, LogService, ReadRange } from './log-reader.ts';
import type { Position } from './position.ts';

/**
 * Number of events in one reply of MongoDB; small, because the bytes of a batch may end it early.
 */
const replySize = 251;
/** Maximum size of an event without its body: ids, type, subject, actor and their field names. */
const envelopeBytes = 1_024;

/** The log's head, durable at a majority. */
export async function readHead({ log }: LogCollections, signal?: AbortSignal): Promise<Position> {
  return headOf(await reading(log.findOne({ _id: 'log' }, bounded), signal));
}

/** The head in a document of the collection `log`. */
export function headOf(document: LogDocument | null): Position {
  if (document === null) throw new TypeError('the event log is not set up');
  return { sequence: document.sequence, incarnation: document.incarnation };
}

/** Maximum size of one event in an answer or a message. NATS accepts 1 MiB by default. */
export const eventBytesMax = 128 * 1024;

/** Maximum size of this event in an answer or a message, in bytes. */
export function eventBytes({ body }: Pick<EventDocument, 'body'>): number {
  return Buffer.byteLength(body) + envelopeBytes;
}

/**
 * Reads a batch, durable at a majority: implements `LogReader.read` in the service's own database.
 */
export async function readEvents(
  service: LogService,
  collections: LogCollections,
  { afterSequence, limit }: ReadRange,
  signal?: AbortSignal,
): Promise<EventBatch> {
  // The head is read first, so every event up to it is either found or has been deleted.
  const head = await readHead(collections, signal);
  if (afterSequence >= head.sequence || limit === 0) return { events: [], head };
  const query = collections.events
    .find({ _id: { $gt: afterSequence } }, { ...bounded, limit, batchSize: replySize })
    .sort({ _id: 1 });
  let firstSequence: number | undefined;
  const take = async () => {
    const budget = new Budget({ countMax: limit, bytesMax: pageBytesMax });
    const events: LoggedEvent[] = [];
    for await (const event of query) {
      firstSequence ??= event._id;
      if (event._id !== afterSequence + 1 + events.length) break;
      if (!budget.take(eventBytes(event))) break;
      events.push(toLoggedEvent(service, event));
    }
    return events;
  };
  const events = await reading(take(), signal);
  if (events.length === 0) {
    return { events, head, firstSequence: firstSequence ?? head.sequence + 1 };
  }
  const sequence = Math.max(head.sequence, events.at(-1)?.sequence ?? 0);
  return { events, head: { ...head, sequence } };
}

/** The sequences of those events that have one, by event id. */
export async function readSequences(
  { events }: LogCollections,
  eventIds: readonly string[],
  signal?: AbortSignal,
): Promise<Map<string, number>> {
  const query = events.find({ id: { $in: [...eventIds] } }, { ...bounded, projection: { id: 1 } });
  const found = await reading(query.toArray(), signal);
  return new Map(found.map(({ id, _id }) => [id, _id]));
}

/** The sequence of the oldest event decided since then; one after the head if there is none. */
export async function firstSequenceSince(
  collections: LogCollections,
  since: Date,
  signal?: AbortSignal,
): Promise<number> {
  const head = await readHead(collections, signal);
  // Times and sequences may differ slightly in order, so this takes the smallest sequence, not the
  // first time.
  const query = collections.events.aggregate<{ first: number }>(
    [
      { $match: { time: { $gte: since } } },
      { $sort: { time: 1 } },
      { $limit: 1_000 },
      { $group: { _id: null, first: { $min: '$_id' } } },
    ],
    bounded,
  );
  const [first] = await reading(query.toArray(), signal);
  return first?.first ?? head.sequence + 1;
}

/** A stored event in the form for readers. */
export function toLoggedEvent(
  service: LogService,
  { _id: sequence, event, body: bodyJson, ...rest }: EventDocument,
): LoggedEvent {
  return { sequence, type: eventType(service, event), bodyJson, ...rest };
}
