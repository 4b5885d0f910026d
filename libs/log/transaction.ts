import { randomInt } from 'node:crypto';
import type { Mutation } from '@silo/mongo/mutation.ts';
import { type RequestMemory, recordOf, requestDocument } from '@silo/mongo/requests.ts';
import type { Clock } from '@silo/runtime/clock.ts';
import type { ClientSession, Db } from 'mongodb';
import { ulid } from 'ulid';
import type { LogCollections } from './collections.ts';
import type { OutboxEvent } from './documents.ts';
import { eventBytes, eventBytesMax } from './log-reader.ts';
import { type Numbered, numberGroups } from './numbering.ts';

/** What happened, as the one who decides it says it. */
export type EventDraft = {
  /** In snake case, without the service: `moved`. */
  event: string;
  /** The id of the thing that it is about. */
  subject: string;
  /** Proto3 JSON of the message: what ts-proto's `toJSON` answers. */
  body: unknown;
};

/** One transaction, to the code that decides in it. May run more than once; only one run counts. */
export type Transaction = {
  /** Goes into the options of every statement. Statements run one after another. */
  session: ClientSession;
  db: Db;
  /** The time of the change. */
  now: Date;
  /** Tells of the change, with the commit and after the events told before. */
  emit(draft: EventDraft): void;
  /**
   * Remembers the request, with the commit: for those whose answer a saga makes. Without a
   * request_id there is nothing to remember.
   */
  remember(memory: RequestMemory): void;
};

/** A transaction under way, to the event log. */
export type OpenTransaction = Transaction & {
  /** The ids of the events emitted until now. */
  eventIds(): string[];
  /**
   * Writes what was emitted and remembered: the last statements before the commit. `alone` numbers
   * the events at once, unless others wait for their numbers; answers what was numbered.
   */
  flush(alone: boolean): Promise<Numbered | undefined>;
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
    return { time: now, actor: mutation.actor, correlationId: mutation.id, events };
  };

  const leaveForNumbering = async () => {
    if (session.operationTime === undefined) {
      // The body read and wrote nothing: any statement opens the snapshot and tells its time.
      await collections.log.findOne({ _id: 'log' }, { session, projection: { _id: 1 } });
    }
    const at = session.operationTime;
    if (at === undefined) throw new TypeError('the session has no operation time');
    await collections.outbox.insertOne({ _id: { at, id: newEventId() }, ...group() }, { session });
  };

  /** Whatever this transaction could have seen has its number, if none waits for one here. */
  const isNext = async () =>
    (await collections.outbox.findOne({}, { session, projection: { _id: 1 } })) === null;

  return {
    session,
    db,
    now,
    emit: ({ event, subject, body }) => {
      const draft = { id: newEventId(), event, subject, body: JSON.stringify(body) };
      const sizeBytes = eventBytes(draft);
      // What the broker could not carry would hold up all that follows: the requests' rules bound it.
      if (sizeBytes > eventBytesMax) throw new RangeError(`${event} has ${sizeBytes} bytes`);
      events.push(draft);
    },
    remember: (memory) => {
      if (remembered !== undefined) throw new TypeError('a request is remembered once');
      remembered = memory;
    },
    eventIds,
    flush: async (alone) => {
      if (remembered !== undefined && mutation.request !== undefined) {
        const { request } = mutation;
        const record = { ...recordOf(request, mutation, remembered), eventIds: eventIds() };
        const document = requestDocument(request.key, record, now);
        await collections.requests.insertOne(document, { session, ignoreUndefined: true });
      }
      if (events.length === 0) return undefined;
      // Last, because it keeps others from numbering until the commit.
      if (alone && (await isNext())) return await numberGroups(collections, session, [group()]);
      await leaveForNumbering();
      return undefined;
    },
  };
}

function newEventId(): string {
  return ulid(undefined, evenRandom).toLowerCase();
}

/** ulid's own source asks the kernel for each character, 27 µs an id; node's keeps a supply. */
function evenRandom(): number {
  return randomInt(32) / 32;
}
