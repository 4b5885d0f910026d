import { randomInt } from 'node:crypto';
import type { Mutation } from '@silo/mongo/mutation.ts';
import { type RequestMemory, recordOf, requestDocument } from '@silo/mongo/requests.ts';
import type { Clock } from '@silo/runtime/clock.ts';
import { traceHeaders } from '@silo/runtime/tracing.ts';
import type { ClientSession, Db } from 'mongodb';
import { ulid } from 'ulid';
import type { LogCollections } from './collections.ts';
import type { OutboxEvent } from './documents.ts';
import { type Sequenced, sequenceGroups } from './sequencer.ts';
import { eventBytes, eventBytesMax } from './stored-events.ts';

/** An event as the deciding code states it. */
export type EventDraft = {
  /** In snake case, without the service: `moved`. */
  event: string;
  /** The id of the resource that the event concerns. */
  subject: string;
  /** Proto3 JSON of the message: the result of ts-proto's `toJSON`. */
  body: unknown;
};

/** One transaction, as its body sees it. The body may run more than once; only one run commits. */
export type Transaction = {
  /** Pass it in the options of every statement. Statements run one after another. */
  session: ClientSession;
  db: Db;
  /** The time of the change. */
  now: Date;
  /** Adds an event to the outbox, after those emitted before. */
  emit(draft: EventDraft): void;
  /**
   * Records the request, for calls whose response a saga makes. Without a request_id there is
   * nothing to record.
   */
  remember(memory: RequestMemory): void;
};

/** A transaction in progress, as the event log sees it. */
export type OpenTransaction = Transaction & {
  /** The ids of the events emitted until now. */
  eventIds(): string[];
  /**
   * Writes the emitted events and the record, as the last statements before the commit. With
   * `alone` it sequences the events at once, unless others wait in the outbox; returns what was
   * sequenced.
   */
  flush(alone: boolean): Promise<Sequenced | undefined>;
};

/** Opens the scope of one attempt. */
export function openTransaction(options: {
  session: ClientSession;
  db: Db;
  collections: LogCollections;
  mutation: Mutation;
  clock: Clock;
}): OpenTransaction {
  const { session, db, collections, mutation, clock } = options;
  const now = clock.now();
  const events: OutboxEvent[] = [];
  let remembered: RequestMemory | undefined;
  const eventIds = () => events.map(({ id }) => id);

  const group = () => {
    const { traceparent } = traceHeaders();
    return {
      ...{ time: now, actor: mutation.actor, correlationId: mutation.id },
      ...(traceparent !== undefined && { traceparent }),
      events,
    };
  };

  const operationTime = async () => {
    if (session.operationTime === undefined) {
      // The body made no statement: any statement opens the snapshot and returns its time.
      await collections.log.findOne({ _id: 'log' }, { session, projection: { _id: 1 } });
    }
    const at = session.operationTime;
    if (at === undefined) throw new TypeError('the session has no operation time');
    return at;
  };

  const writeToOutbox = async () => {
    const at = await operationTime();
    await collections.outbox.insertOne({ _id: { at, id: newEventId() }, ...group() }, { session });
  };

  /** If the outbox is empty, every event that this transaction could have seen is sequenced. */
  const isOutboxEmpty = async () =>
    (await collections.outbox.findOne({}, { session, projection: { _id: 1 } })) === null;

  return {
    session,
    db,
    now,
    emit: ({ event, subject, body }) => {
      const draft = { id: newEventId(), event, subject, body: JSON.stringify(body) };
      const sizeBytes = eventBytes(draft);
      // An event that the broker cannot accept would block all later ones. The rules of requests
      // limit its size.
      if (sizeBytes > eventBytesMax) throw new RangeError(`${event} has ${sizeBytes} bytes`);
      events.push(draft);
    },
    remember: (memory) => {
      if (remembered !== undefined) throw new TypeError('a request is recorded once');
      remembered = memory;
    },
    eventIds,
    flush: async (alone) => {
      if (remembered !== undefined && mutation.request !== undefined) {
        const { request } = mutation;
        const record = { ...recordOf(request, mutation, remembered), eventIds: eventIds() };
        // By the later of two clocks: MongoDB would remove the record of a process whose clock is
        // behind before its time, and a repeat would act again.
        const databaseMs = (await operationTime()).getHighBits() * 1_000;
        const from = new Date(Math.max(now.getTime(), databaseMs));
        const document = requestDocument(request.key, record, from);
        await collections.requests.insertOne(document, { session, ignoreUndefined: true });
      }
      if (events.length === 0) return undefined;
      // The last statement, because it blocks other sequencing transactions until the commit.
      if (alone && (await isOutboxEmpty()))
        return await sequenceGroups(collections, session, [group()]);
      await writeToOutbox();
      return undefined;
    },
  };
}

function newEventId(): string {
  return ulid(undefined, evenRandom).toLowerCase();
}

/**
 * ulid's own source calls the kernel for each character, 27 µs an id; node's source has a buffer.
 */
function evenRandom(): number {
  return randomInt(32) / 32;
}
