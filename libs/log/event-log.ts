import { leaveToExpire, releaseAll } from '@silo/access/permits.ts';
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
import { HeadWatch } from './head-watch.ts';
import {
  firstSequenceSince,
  type Head,
  headOf,
  type LoggedEvent,
  loggedEvent,
  readEvents,
  readHead,
  readPositions,
} from './log-reader.ts';
import { type NumberedListener, Numbering } from './numbering.ts';
import { openTransaction, type Transaction } from './transaction.ts';

export type { Codec } from '@silo/mongo/requests.ts';
export type { Head, LoggedEvent } from './log-reader.ts';
export type { EventDraft, Transaction } from './transaction.ts';

export type LogService = 'org' | 'project' | 'token' | 'billing';

/** Some events of the log, and how far it reaches. */
type EventPage = { events: LoggedEvent[]; head: Head };

/** Thrown by `decide` where the request was remembered before: its record tells what to join. */
export class RepeatedRequest extends Error {
  override readonly name = 'RepeatedRequest';
  readonly record: RequestRecord;

  constructor(record: RequestRecord) {
    super('the request was decided before');
    this.record = record;
  }
}

/** The event log of one service: how changes are decided, numbered and read. */
export type EventLog = AsyncDisposable & {
  readonly service: LogService;
  readonly region: string;
  /**
   * Decides in one transaction, and remembers the answer under the request_id. A repeat gets the
   * first answer, if `checkRepeat` allows it; the id with another body is refused
   * REQUEST_ID_REUSED. Refusals, thrown by the body as SiloErrors, change nothing and are not
   * remembered. Keeps to the mutation's permits: without them nothing is decided
   * (DEPENDENCY_UNAVAILABLE).
   */
  mutate<Response>(
    mutation: Mutation,
    codec: Codec<Response>,
    body: (tx: Transaction) => Promise<Decided<Response>>,
  ): Promise<Outcome<Response>>;
  /**
   * Decides in one transaction; nothing is remembered but what the body says. Where the body
   * remembers, or refuses, and the request is remembered already: throws RepeatedRequest. Keeps to
   * the mutation's permits as `mutate` does. For parts of a saga: its events get their numbers a
   * little later, together with those that follow, unless somebody waits.
   */
  decide<T>(
    mutation: Mutation,
    body: (tx: Transaction) => Promise<T>,
  ): Promise<{ value: T; eventIds: string[] }>;
  /** The place of the last of these events, once they are numbered; without any as `numberNow`. */
  position(eventIds: readonly string[], signal: AbortSignal): Promise<Head>;
  /** Numbers everything that was committed before the call, and answers the head after that. */
  numberNow(signal: AbortSignal): Promise<Head>;
  /** Numbers what others left behind. Cheap where nothing is; may miss what a stale primary misses. */
  numberLeftovers(): Promise<void>;
  head(signal?: AbortSignal): Promise<Head>;
  /**
   * In order, without gaps, at most `limit` events and 1 MiB of them, whichever comes first, but at
   * least one if there is any. Refuses with LOG_COMPACTED where the next event is gone.
   */
  read(range: { afterSequence: number; limit: number }, signal?: AbortSignal): Promise<EventPage>;
  /**
   * What this process has just numbered after a sequence, without asking the server: in order,
   * without gaps, bounded as `read`, but perhaps not all that there is. Undefined where it has
   * numbered nothing there.
   */
  justNumbered(range: { afterSequence: number; limit: number }): EventPage | undefined;
  /** The sequence of the oldest event decided since then; one after the head where there is none. */
  firstSequenceSince(since: Date, signal?: AbortSignal): Promise<number>;
  /** Calls the listener with each new head, whoever numbered. A hint: may come late or not at all. */
  onNumbered(listener: NumberedListener): Disposable;
  /** Resolves when the head is known to be past the sequence, or after `withinMs`. */
  past(afterSequence: number, withinMs: number, signal: AbortSignal): Promise<void>;
  /** What is remembered of a request, as of now; the signal ends the reading. */
  findRequest(key: Uint8Array, signal?: AbortSignal): Promise<RequestRecord | undefined>;
};

type Options = {
  client: MongoClient;
  db: Db;
  service: LogService;
  region: string;
  clock: Clock;
  log: Log;
  /** False leaves numbering to others: for tests of what happens to those who die in between. */
  numbersOwn?: boolean;
};

/** Makes the event log of a service whose database `setUpEventLog` has prepared. */
export function createEventLog(options: Options): EventLog {
  return new MongoEventLog(options);
}

class MongoEventLog implements EventLog {
  readonly service: LogService;
  readonly region: string;
  readonly #options: Options;
  readonly #collections: LogCollections;
  readonly #numbering: Numbering;
  readonly #heads: HeadWatch;
  readonly #stop = new AbortController();
  /** How many transactions are being decided. */
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
    this.#heads = new HeadWatch(shared);
    this.#numbering = new Numbering({
      ...shared,
      client: options.client,
      onNumbered: (sequence) => this.#heads.tell(sequence),
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
      // A part of a saga: more follows right away, and who waits will say so.
      return await this.#transact(mutation, body, { unhurried: true });
    } catch (error) {
      const record = await this.#recordAfter(error, mutation);
      if (record === undefined || request === undefined) throw outward(error);
      refuseReuse(request, record);
      await mutation.checkRepeat?.(record);
      throw new RepeatedRequest(record);
    }
  }

  async position(eventIds: readonly string[], signal: AbortSignal): Promise<Head> {
    if (eventIds.length === 0) return await this.numberNow(signal);
    const numbered = await this.#ran(this.#numbering.placeOf(eventIds), signal);
    if (numbered !== undefined) return numbered;
    // Another process was faster, or it was long ago.
    const found = await readPositions(this.#collections, eventIds, signal);
    const missing = eventIds.filter((id) => !found.has(id));
    if (missing.length > 0) throw new TypeError(`events without a number: ${missing.join(', ')}`);
    const { incarnation } = await this.head(signal);
    return { sequence: Math.max(...found.values()), incarnation };
  }

  async numberNow(signal: AbortSignal): Promise<Head> {
    const { outbox, log } = this.#collections;
    signal.throwIfAborted();
    const read = async () => {
      const time = await majorityTime(this.#options.db);
      const waiting = await readAfter(time, outbox, {}, { _id: 1 });
      return waiting === null ? await readAfter(time, log, { _id: 'log' }) : undefined;
    };
    const head = await reading(read(), signal);
    if (head !== undefined) return headOf(head);
    await this.#ran(this.#numbering.run(), signal);
    return headOf(await readLinearizable(log, { _id: 'log' }, { signal }));
  }

  async numberLeftovers(): Promise<void> {
    const { outbox } = this.#collections;
    try {
      const waiting = await outbox.findOne({}, { projection: { _id: 1 }, maxTimeMS: 5_000 });
      if (waiting !== null) await this.#ran(this.#numbering.run(), this.#stop.signal);
    } catch (error) {
      throw fromMongo(error);
    }
  }

  head(signal?: AbortSignal): Promise<Head> {
    return readHead(this.#collections, signal);
  }

  async read(
    range: { afterSequence: number; limit: number },
    signal?: AbortSignal,
  ): Promise<EventPage> {
    const answer = await readEvents(this.#collections, range, signal);
    this.#heads.tell(answer.head.sequence);
    return answer;
  }

  justNumbered({ afterSequence, limit }: { afterSequence: number; limit: number }) {
    const page = this.#numbering.after(afterSequence, limit);
    return page && { events: page.events.map(loggedEvent), head: page.head };
  }

  firstSequenceSince(since: Date, signal?: AbortSignal): Promise<number> {
    return firstSequenceSince(this.#collections, since, signal);
  }

  onNumbered(listener: NumberedListener): Disposable {
    return this.#heads.listen(listener);
  }

  past(afterSequence: number, withinMs: number, signal: AbortSignal): Promise<void> {
    return this.#heads.past(afterSequence, withinMs, signal);
  }

  findRequest(key: Uint8Array, signal?: AbortSignal): Promise<RequestRecord | undefined> {
    return findRequest(this.#collections, key, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#numbering.idle();
    this.#stop.abort(new DOMException('the event log is closed', 'AbortError'));
    await this.#heads.idle();
  }

  async #transact<T>(
    mutation: Mutation,
    body: (tx: Transaction) => Promise<T>,
    { unhurried = false }: { unhurried?: boolean } = {},
  ): Promise<{ value: T; eventIds: string[] }> {
    const { client, db, clock, numbersOwn = true } = this.#options;
    const collections = this.#collections;
    let mayNumber = numbersOwn && mutation.awaitsPosition === true;
    this.#deciding++;
    try {
      const decided = await transact(client, mutation, async (session) => {
        const tx = openTransaction({ session, db, collections, mutation, clock });
        const value = await body(tx);
        const alone = mayNumber && this.#isAlone();
        mayNumber = false; // who must go again has met others
        const numbered = await tx.flush(alone);
        return { value, eventIds: tx.eventIds(), numbered };
      });
      if (decided.numbered !== undefined) this.#numbering.note(decided.numbered);
      else if (decided.eventIds.length > 0 && numbersOwn) this.#numbering.kick({ unhurried });
      return decided;
    } catch (error) {
      if (error instanceof CommitUnknown && numbersOwn) this.#numbering.kick();
      throw error;
    } finally {
      this.#deciding--;
    }
  }

  /** Whether numbering in the deciding transaction would be in nobody's way, as far as is known. */
  #isAlone(): boolean {
    return this.#deciding === 1 && this.#numbering.isIdle;
  }

  /**
   * The record of the request, where the failure may come from its having been decided before: then
   * nothing is left to decide. Where it stays unknown whether this one will be, its permits run out.
   */
  async #recordAfter(
    error: unknown,
    { request, signal, permits }: Mutation,
  ): Promise<RequestRecord | undefined> {
    const isUnknown = error instanceof CommitUnknown;
    const mayBeRepeat = error instanceof SiloError || isUnknown || isDuplicateKey(error);
    let record: RequestRecord | undefined;
    try {
      if (request !== undefined && mayBeRepeat && !signal.aborted) {
        record = await this.findRequest(request.key, signal);
      }
    } finally {
      if (record !== undefined) releaseAll(permits);
      else if (isUnknown) leaveToExpire(permits);
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
