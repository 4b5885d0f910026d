import { errors } from '@silo/errors/errors.ts';
import type { LogCollections } from './collections.ts';
import type { EventDocument, LogDocument } from './documents.ts';
import { fromMongo } from './from-mongo.ts';

const timeMaxMs = 5_000;

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
  try {
    return headOf(await log.findOne({ _id: 'log' }, bounded(signal)));
  } catch (error) {
    throw fromMongo(error);
  }
}

/** The head as a document tells it. */
export function headOf(document: LogDocument | null): Head {
  if (document === null) throw new TypeError('the event log is not set up');
  return { sequence: document.sequence, incarnation: document.incarnation };
}

/**
 * Reads at most `limit` events after a sequence: in order, without gaps, durable at a majority.
 * Refuses with LOG_COMPACTED where the log no longer holds the next one.
 */
export async function readEvents(
  collections: LogCollections,
  { afterSequence, limit }: { afterSequence: number; limit: number },
  signal?: AbortSignal,
): Promise<{ events: LoggedEvent[]; head: Head }> {
  // The head first: what it promises must then be found, or has been deleted.
  const head = await readHead(collections, signal);
  if (afterSequence >= head.sequence) return { events: [], head };
  try {
    const found = await collections.events
      .find({ _id: { $gt: afterSequence } }, { ...bounded(signal), limit, batchSize: limit + 1 })
      .sort({ _id: 1 })
      .toArray();
    const [first] = found;
    if (first?._id !== afterSequence + 1)
      throw errors.logCompacted(first?._id ?? head.sequence + 1);
    const gapless = found.filter((event, index) => event._id === afterSequence + 1 + index);
    const sequence = Math.max(head.sequence, gapless.at(-1)?._id ?? 0);
    return { events: gapless.map(loggedEvent), head: { ...head, sequence } };
  } catch (error) {
    throw fromMongo(error);
  }
}

/** The sequences of those events that have one, by event id. */
export async function readPositions(
  { events }: LogCollections,
  eventIds: readonly string[],
  signal?: AbortSignal,
): Promise<Map<string, number>> {
  try {
    const found = await events
      .find({ id: { $in: [...eventIds] } }, { ...bounded(signal), projection: { id: 1 } })
      .toArray();
    return new Map(found.map(({ id, _id }) => [id, _id]));
  } catch (error) {
    throw fromMongo(error);
  }
}

/** The sequence of the oldest event decided since then; one after the head where there is none. */
export async function firstSequenceSince(
  collections: LogCollections,
  since: Date,
  signal?: AbortSignal,
): Promise<number> {
  const head = await readHead(collections, signal);
  try {
    // Times and sequences do not agree to the last: the smallest sequence, not the first time.
    const [first] = await collections.events
      .aggregate<{ first: number }>(
        [
          { $match: { time: { $gte: since } } },
          { $sort: { time: 1 } },
          { $limit: 1_000 },
          { $group: { _id: null, first: { $min: '$_id' } } },
        ],
        bounded(signal),
      )
      .toArray();
    return first?.first ?? head.sequence + 1;
  } catch (error) {
    throw fromMongo(error);
  }
}

/** An event as it is told, of how it is stored. */
export function loggedEvent({
  _id: sequence,
  body: bodyJson,
  ...rest
}: EventDocument): LoggedEvent {
  return { sequence, bodyJson, ...rest };
}

function bounded(signal: AbortSignal | undefined) {
  return { maxTimeMS: timeMaxMs, ...(signal ? { signal } : {}) };
}
