import { parseEventType } from '@silo/log/event-types.ts';
import type { LoggedEvent, LogReader } from '@silo/log/log-reader.ts';
import { endedBy } from './core/event-effects.ts';
import type { EventPage, GuardEvent } from './core/messages.ts';
import type { Source } from './core/position.ts';

const batchMax = 1_000;

/** Reads a batch of a source's log as the core takes it; without `afterSequence` only the head. */
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

/** What an event ends: everything of the source if this build does not know the event. */
export function guardEvent(
  source: Source,
  { sequence, type, bodyJson }: Pick<LoggedEvent, 'sequence' | 'type' | 'bodyJson'>,
): GuardEvent {
  const { event = '' } = parseEventType(type) ?? {};
  return { sequence, ends: endedBy(source, event, parse(bodyJson)) };
}

function parse(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}
