import { SiloError } from '@silo/errors/silo-error.ts';
import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import type { EventLogServiceClient } from '@silo/protos/gen/silo/events/internal/v1/event_log_service.ts';
import type { Connected } from '@silo/rpc/client.ts';
import { endedBy } from './core/event-effects.ts';
import type { EventPage, GuardEvent } from './core/messages.ts';
import type { Position, Source } from './core/position.ts';

/** An event of a log or a batch: `ce-type`, and the body as proto3 JSON. */
export type ToldEvent = { sequence: number; type: string; bodyJson: string };

/** The log of one source. Both reject where there is no answer. */
export type SourceLog = {
  /** The head, after everything that was committed before the call has its number. */
  head(signal: AbortSignal): Promise<Position>;
  /** Some events after a sequence; rejects with LOG_COMPACTED where the next one is gone. */
  read(
    afterSequence: number,
    signal: AbortSignal,
  ): Promise<{ events: readonly ToldEvent[]; head: Position }>;
};

const pageSizeMax = 1_000;

/** A log over the internal port of its service. */
export function remoteLog(client: Connected<EventLogServiceClient>): SourceLog {
  return {
    head: async (signal) => {
      const { head } = await client.getHead({}, { signal });
      if (head === undefined) throw new TypeError('a log without a head');
      return head;
    },
    read: async (afterSequence, signal) => {
      const request = { afterSequence, batchSize: pageSizeMax, follow: false };
      for await (const { events, head } of client.readEvents(request, { signal, refusals: true })) {
        if (head !== undefined) return { events, head };
      }
      throw new TypeError('a log without a head');
    },
  };
}

/** A page of a log, as a guard takes it; without `afterSequence` only the head. */
export async function readPage(
  source: Source,
  log: SourceLog,
  afterSequence: number | undefined,
  signal: AbortSignal,
): Promise<EventPage> {
  if (afterSequence === undefined) {
    return { events: [], head: await log.head(signal), isCompacted: false };
  }
  try {
    const { events, head } = await log.read(afterSequence, signal);
    return {
      events: events.map((event) => guardEvent(source, event)),
      head: { incarnation: head.incarnation, sequence: head.sequence },
      isCompacted: false,
    };
  } catch (error) {
    if (!isCompacted(error)) throw error;
    return { events: [], head: await log.head(signal), isCompacted: true };
  }
}

/** What an event is to a guard: what it does not understand ends everything of the source. */
export function guardEvent(source: Source, { sequence, type, bodyJson }: ToldEvent): GuardEvent {
  const [, event = ''] = typePattern.exec(type) ?? [];
  return { sequence, ends: endedBy(source, event, parsed(bodyJson)) };
}

const typePattern = /^internal\.silo\.[a-z]+\.([a-z_]+)\.v1$/;

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

function isCompacted(error: unknown): boolean {
  return error instanceof SiloError && error.reason === ErrorReason.ERROR_REASON_LOG_COMPACTED;
}
