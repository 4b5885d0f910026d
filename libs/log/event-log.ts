import { SiloError } from '@silo/errors/silo-error.ts';
import { fromMongo, isDuplicateKey } from '@silo/mongo/from-mongo.ts';
import { readAfter, readLinearizable } from '@silo/mongo/linearizable.ts';
import { majorityTime } from '@silo/mongo/majority-time.ts';
import { type Mutation, Outcome, type RequestRecord } from '@silo/mongo/mutation.ts';
import { reading } from '@silo/mongo/read.ts';
import {
  answerOf,
  type Codec,
  type Decided,
  findRequest,
  memoryOf,
  refuseReuse,
} from '@silo/mongo/requests.ts';
import { CommitUnknown, fromUnknownCommit, transact } from '@silo/mongo/transaction-retry.ts';
import type { Clock } from '@silo/runtime/clock.ts';
import { race } from '@silo/runtime/deadline.ts';
import type { Log } from '@silo/runtime/log.ts';
import type { Db, MongoClient } from 'mongodb';
import { type LogCollections, logCollections } from './collections.ts';
import { LogHead } from './log-head.ts';
import type { EventBatch, LogReader, LogService, ReadRange } from './log-reader.ts';
import type { Position } from './position.ts';
import { Sequencer } from './sequencer.ts';
import {
  firstSequenceSince,
  headOf,
  readEvents,
  readHead,
  readSequences,
} from './stored-events.ts';
import { openTransaction, type Transaction } from './transaction.ts';

export type { Codec } from '@silo/mongo/requests.ts';
export type { EventDraft, Transaction } from './transaction.ts';

/** Thrown by `decide` if the request was recorded before; the record names the saga to join. */
export class RepeatedRequest extends Error {
  override readonly name = 'RepeatedRequest';
  readonly record: RequestRecord;

  constructor(record: RequestRecord) {
    super('the request was decided before');
    this.record = record;
  }
}

/**
 * The event log of one service, in its own database: decides changes, sequences and reads events.
 */
export type EventLog = LogReader &
  AsyncDisposable & {
    readonly region: string;
    /**
     * Decides in one transaction, and records the response under the request_id. A repeat gets the
     * first response, if `checkRepeat` allows it; the same id with another body is refused with
     * REQUEST_ID_REUSED. A SiloError that the body throws changes nothing and is not recorded.
     * Commits only while its permits are held; otherwise nothing is decided
     * (DEPENDENCY_UNAVAILABLE).
     */
    mutate<Response>(
      mutation: Mutation,
      codec: Codec<Response>,
      body: (tx: Transaction) => Promise<Decided<Response>>,
    ): Promise<Outcome<Response>>;
    /**
     * Decides in one transaction, for the parts of a saga; records only what the body remembers.
     * Throws RepeatedRequest if the body remembers or refuses a request that has a record. Commits
     * only while the permits are held, like `mutate`. Its events are sequenced with a delay,
     * together with later ones, unless a caller waits for them.
     */
    decide<T>(
      mutation: Mutation,
      body: (tx: Transaction) => Promise<T>,
    ): Promise<{ value: T; eventIds: string[] }>;
    /**
     * The position of the last of these events, once they are sequenced; without events, the head.
     */
    position(eventIds: readonly string[], signal: AbortSignal): Promise<Position>;
    /**
     * Sequences the events that processes that died have left in the outbox. Cheap if the outbox is
     * empty; a stale primary may hide some events until the next call.
     */
    sequenceOrphanedEvents(): Promise<void>;
    read(range: ReadRange, signal?: AbortSignal): Promise<EventBatch>;
    /**
     * The next events after a sequence that this process itself has sequenced, from memory, with
     * the limits of `read`. There may be more. Undefined if memory does not hold the next event.
     */
    recent(range: ReadRange): EventBatch | undefined;
    /** The sequence of the oldest event decided since then; one after the head if there is none. */
    firstSequenceSince(since: Date, signal?: AbortSignal): Promise<number>;
    /** The record of a request, by a linearizable read. */
    findRequest(key: Uint8Array, signal?: AbortSignal): Promise<RequestRecord | undefined>;
  };

type Options = {
  client: MongoClient;
  db: Db;
  service: LogService;
  region: string;
  clock: Clock;
  log: Log;
  /** False leaves sequencing to other processes: for tests of a process that dies before it. */
  sequencesOwn?: boolean;
};

/** Makes the event log of a service whose database `logMigrations` has prepared. */
export function createEventLog(options: Options): EventLog {
  return new MongoEventLog(options);
}

/** A reader that prefers the events in this process's memory. Its head may be behind the log's. */
export function recentFirst(eventLog: EventLog): LogReader {
  return {
    service: eventLog.service,
    head: (signal) => eventLog.head(signal),
    read: async (range, signal) => eventLog.recent(range) ?? (await eventLog.read(range, signal)),
    wait: (afterSequence, maxMs, signal) => eventLog.wait(afterSequence, maxMs, signal),
  };
}

class MongoEventLog implements EventLog {
  readonly service: LogService;
  readonly region: string;
  readonly #options: Options;
  readonly #collections: LogCollections;
  readonly #sequencer: Sequencer;
  readonly #head: LogHead;
  readonly #stop = new AbortController();
  /** Number of transactions in progress. */
  #deciding = 0;

  constructor(options: Options) {
    this.#options = options;
    this.service = options.service;
    this.region = options.region;
    this.#collections = logCollections(options.db);
    const shared = {
      collections: this.#collections,
      signal: this.#stop.signal,
      log: options.log,
    };
    this.#head = new LogHead(shared);
    this.#sequencer = new Sequencer({
      ...shared,
      service: options.service,
      client: options.client,
      onSequenced: (sequence) => this.#head.advance(sequence),
    });
  }

  async mutate<Response>(
    mutation: Mutation,
    codec: Codec<Response>,
    body: (tx: Transaction) => Promise<Decided<Response>>,
  ): Promise<Outcome<Response>> {
    const { request } = mutation;
    try {
      const { value, eventIds } = await this.#transact(mutation, async (tx) => {
        const decided = await body(tx);
        if (request !== undefined) tx.remember(memoryOf(request, decided, codec));
        return decided;
      });
      const { response, keepsAccess } = value;
      return new Outcome(response, { eventIds, keepsAccess }, { repeated: false });
    } catch (error) {
      const record = await this.#recordAfter(error, mutation);
      if (record === undefined || request === undefined) throw outward(error);
      const response = answerOf(request, record, codec);
      await mutation.checkRepeat?.(record);
      if (response === undefined) throw new RepeatedRequest(record);
      return new Outcome(response, record, { repeated: true });
    }
  }

  async decide<T>(
    mutation: Mutation,
    body: (tx: Transaction) => Promise<T>,
  ): Promise<{ value: T; eventIds: string[] }> {
    const { request } = mutation;
    try {
      // This is a part of a saga: more events follow soon, and a caller that waits ends the delay.
      return await this.#transact(mutation, body, { unhurried: true });
    } catch (error) {
      const record = await this.#recordAfter(error, mutation);
      if (record === undefined || request === undefined) throw outward(error);
      refuseReuse(request, record);
      await mutation.checkRepeat?.(record);
      throw new RepeatedRequest(record);
    }
  }

  async position(eventIds: readonly string[], signal: AbortSignal): Promise<Position> {
    if (eventIds.length === 0) return await this.head(signal);
    const recent = await this.#ran(this.#sequencer.positionOf(eventIds), signal);
    if (recent !== undefined) return recent;
    // Another process sequenced them first, or this one did so long ago.
    const found = await readSequences(this.#collections, eventIds, signal);
    const missing = eventIds.filter((id) => !found.has(id));
    if (missing.length > 0) throw new TypeError(`events without a sequence: ${missing.join(', ')}`);
    const { incarnation } = await readHead(this.#collections, signal);
    return { sequence: Math.max(...found.values()), incarnation };
  }

  async head(signal: AbortSignal): Promise<Position> {
    const { outbox, log } = this.#collections;
    signal.throwIfAborted();
    const read = async () => {
      const time = await majorityTime(this.#options.db);
      signal.throwIfAborted();
      const waiting = await readAfter(time, outbox, {}, { _id: 1 });
      return waiting === null ? await readAfter(time, log, { _id: 'log' }) : undefined;
    };
    const head = await reading(read(), signal);
    if (head !== undefined) return headOf(head);
    await this.#ran(this.#sequencer.run(), signal);
    return headOf(await readLinearizable(log, { _id: 'log' }, { signal }));
  }

  async sequenceOrphanedEvents(): Promise<void> {
    const { outbox } = this.#collections;
    try {
      const waiting = await outbox.findOne({}, { projection: { _id: 1 }, maxTimeMS: 5_000 });
      if (waiting !== null) await this.#ran(this.#sequencer.run(), this.#stop.signal);
    } catch (error) {
      throw fromMongo(error);
    }
  }

  async read(range: ReadRange, signal?: AbortSignal): Promise<EventBatch> {
    const batch = await readEvents(this.service, this.#collections, range, signal);
    this.#head.advance(batch.head.sequence);
    return batch;
  }

  recent(range: ReadRange): EventBatch | undefined {
    return this.#sequencer.recent(range);
  }

  firstSequenceSince(since: Date, signal?: AbortSignal): Promise<number> {
    return firstSequenceSince(this.#collections, since, signal);
  }

  wait(afterSequence: number, maxMs: number, signal: AbortSignal): Promise<void> {
    return this.#head.wait(afterSequence, maxMs, signal);
  }

  findRequest(key: Uint8Array, signal?: AbortSignal): Promise<RequestRecord | undefined> {
    return findRequest(this.#collections, key, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#sequencer.idle();
    this.#stop.abort(new DOMException('the event log is closed', 'AbortError'));
    await this.#head.idle();
  }

  async #transact<T>(
    mutation: Mutation,
    body: (tx: Transaction) => Promise<T>,
    { unhurried = false }: { unhurried?: boolean } = {},
  ): Promise<{ value: T; eventIds: string[] }> {
    const { client, db, clock, sequencesOwn = true } = this.#options;
    const collections = this.#collections;
    let maySequence = sequencesOwn && mutation.awaitsPosition === true;
    this.#deciding++;
    try {
      const decided = await transact(client, mutation, async (session) => {
        const tx = openTransaction({ session, db, collections, mutation, clock });
        const value = await body(tx);
        const alone = maySequence && this.#isAlone();
        maySequence = false; // a repeat has conflicted with others
        const sequenced = await tx.flush(alone);
        return { value, eventIds: tx.eventIds(), sequenced };
      });
      if (decided.sequenced !== undefined) this.#sequencer.add(decided.sequenced);
      else if (decided.eventIds.length > 0 && sequencesOwn) this.#sequencer.kick({ unhurried });
      return decided;
    } catch (error) {
      if (error instanceof CommitUnknown && sequencesOwn) this.#sequencer.kick();
      throw error;
    } finally {
      this.#deciding--;
    }
  }

  /** Whether sequencing in the deciding transaction would conflict with no other one known here. */
  #isAlone(): boolean {
    return this.#deciding === 1 && this.#sequencer.isIdle;
  }

  /**
   * The record of the request, if the failure may mean that an earlier call has decided it; then
   * nothing remains to be decided. If this transaction's outcome stays unknown, its permits expire.
   */
  async #recordAfter(
    error: unknown,
    { request, signal, authorization }: Mutation,
  ): Promise<RequestRecord | undefined> {
    const isUnknown = error instanceof CommitUnknown;
    const mayBeRepeat = error instanceof SiloError || isUnknown || isDuplicateKey(error);
    let record: RequestRecord | undefined;
    try {
      if (request !== undefined && mayBeRepeat && !signal.aborted) {
        record = await this.findRequest(request.key, signal);
      }
    } finally {
      if (record !== undefined) authorization?.release();
      else if (isUnknown) authorization?.leaveToExpire();
    }
    return record;
  }

  async #ran<T>(run: Promise<T>, signal: AbortSignal): Promise<T> {
    try {
      return await race(run, signal);
    } catch (error) {
      throw outward(error);
    }
  }
}

function outward(error: unknown): unknown {
  return fromMongo(fromUnknownCommit(error));
}
