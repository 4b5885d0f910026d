import { errors } from '@silo/errors/errors.ts';
import { pageBytesMax } from '@silo/mongo/page.ts';
import { bounded, reading } from '@silo/mongo/read.ts';
import { Budget } from '@silo/runtime/budget.ts';
import type { LogCollections } from './collections.ts';
import type { EventDocument, LogDocument } from './documents.ts';

/** How many events one reply of MongoDB holds, so that few wait in memory for their turn. */
const replySize = 251;
/** What an event has beside its body, at most: ids, type, subject, actor and their field names. */
const envelopeBytes = 1_024;

/** How far a log reaches, and in which of its lives. */
export type Head = { sequence: number; incarnation: string };

/** One event of the log. */
export type LoggedEvent = {
  sequence: number;
  /** `ce-id`. */
  id: string;
  /** Without the service: `moved`. */
  event: string;
  subject: string;
  time: Date;
  actor: string;
  correlationId: string;
  /** Proto3 JSON. */
  bodyJson: string;
};

/** The log's head, durable at a majority. */
export async function readHead({ log }: LogCollections, signal?: AbortSignal): Promise<Head> {
  return headOf(await reading(log.findOne({ _id: 'log' }, bounded), signal));
}

/** The head as a document tells it. */
export function headOf(document: LogDocument | null): Head {
  if (document === null) throw new TypeError('the event log is not set up');
  return { sequence: document.sequence, incarnation: document.incarnation };
}

/** How many bytes an event may have in an answer or a message. NATS takes 1 MiB by default. */
export const eventBytesMax = 128 * 1024;

/** How many bytes an event takes in an answer or a message, at most. */
export function eventBytes({ body }: Pick<EventDocument, 'body'>): number {
  return Buffer.byteLength(body) + envelopeBytes;
}

/**
 * Reads at most `limit` events and `pageBytesMax` bytes of them after a sequence, whichever comes
 * first, but at least one if there is any: in order, without gaps, durable at a majority. Refuses
 * with LOG_COMPACTED where the log no longer holds the next one.
 */
export async function readEvents(
  collections: LogCollections,
  { afterSequence, limit }: { afterSequence: number; limit: number },
  signal?: AbortSignal,
): Promise<{ events: LoggedEvent[]; head: Head }> {
  // The head first: what it promises must then be found, or has been deleted.
  const head = await readHead(collections, signal);
  if (afterSequence >= head.sequence) return { events: [], head };
  const query = collections.events
    .find({ _id: { $gt: afterSequence } }, { ...bounded, limit, batchSize: replySize })
    .sort({ _id: 1 });
  const take = async () => {
    const budget = new Budget({ countMax: limit, bytesMax: pageBytesMax });
    const events: LoggedEvent[] = [];
    for await (const event of query) {
      if (event._id !== afterSequence + 1 + events.length) {
        if (events.length === 0) throw errors.logCompacted(event._id);
        break;
      }
      if (!budget.take(eventBytes(event))) break;
      events.push(loggedEvent(event));
    }
    return events;
  };
  const events = await reading(take(), signal);
  if (events.length === 0) throw errors.logCompacted(head.sequence + 1);
  const sequence = Math.max(head.sequence, events.at(-1)?.sequence ?? 0);
  return { events, head: { ...head, sequence } };
}

/** The sequences of those events that have one, by event id. */
export async function readPositions(
  { events }: LogCollections,
  eventIds: readonly string[],
  signal?: AbortSignal,
): Promise<Map<string, number>> {
  const query = events.find({ id: { $in: [...eventIds] } }, { ...bounded, projection: { id: 1 } });
  const found = await reading(query.toArray(), signal);
  return new Map(found.map(({ id, _id }) => [id, _id]));
}

/** The sequence of the oldest event decided since then; one after the head where there is none. */
export async function firstSequenceSince(
  collections: LogCollections,
  since: Date,
  signal?: AbortSignal,
): Promise<number> {
  const head = await readHead(collections, signal);
  // Times and sequences do not agree to the last: the smallest sequence, not the first time.
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

/** An event as it is told, of how it is stored. */
export function loggedEvent({
  _id: sequence,
  body: bodyJson,
  ...rest
}: EventDocument): LoggedEvent {
  return { sequence, bodyJson, ...rest };
}
