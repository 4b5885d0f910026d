import type { LoggedEvent, LogReader } from '@silo/log/log-reader.ts';
import { endedBy } from './core/event-effects.ts';
import type { EventPage, GuardEvent } from './core/messages.ts';
import type { Source } from './core/position.ts';

const batchMax = 1_000;

/**
 * Reads a batch of a source's log in the form that the core needs; without `afterSequence`, only
 * the head.
 */
export async function readBatch(
  source: Source,
  log: Pick<LogReader, 'head' | 'read'>,
  afterSequence: number | undefined,
  signal: AbortSignal,
): Promise<EventPage> {
  if (afterSequence === undefined) {
    return { events: [], head: await log.head(signal), isCompacted: false };
  }
  const { events, head, firstSequence } = await log.read(
    { afterSequence, limit: batchMax },
    signal,
  );
  return {
    events: events.map((event) => guardEvent(source, event)),
    head: { incarnation: head.incarnation, sequence: head.sequence },
    isCompacted: firstSequence !== undefined,
  };
}

/** An event in the form that the core needs: the facts that it ends. */
export function guardEvent(
  source: Source,
  event: Pick<LoggedEvent, 'sequence' | 'type' | 'bodyJson'> &
    Partial<Pick<LoggedEvent, 'id' | 'traceparent'>>,
): GuardEvent {
  const { sequence, type, bodyJson, id = '', traceparent } = event;
  const ends = endedBy(source, type, bodyJson);
  return traceparent
    ? { sequence, ends, traced: { traceparent, type, id, sequence } }
    : { sequence, ends };
}
