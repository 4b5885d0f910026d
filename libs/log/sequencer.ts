import { transact } from '@silo/mongo/transaction-retry.ts';
import { Budget } from '@silo/runtime/budget.ts';
import { systemSleep } from '@silo/runtime/clock.ts';
import { forgetOldest } from '@silo/runtime/forget-oldest.ts';
import type { Log } from '@silo/runtime/log.ts';
import type { ClientSession, MongoClient } from 'mongodb';
import type { LogCollections } from './collections.ts';
import type { EventDocument, OutboxGroup } from './documents.ts';
import type { EventBatch, LogService, ReadRange } from './log-reader.ts';
import type { Position } from './position.ts';
import { RecentEvents } from './recent-events.ts';
import { eventBytes, toLoggedEvent } from './stored-events.ts';

/** Maximum of one sequencing transaction: groups, and bytes of their events. */
const runBounds = { countMax: 500, bytesMax: 4 * 1024 * 1024 };
/** Pause between two runs that no caller waits for, so that more commits share a transaction. */
const pauseMs = 50;
/** Number of positions that are kept in memory for calls that will await theirs. */
const recentMax = 20_000;

/** The result of one sequencing transaction. */
export type Sequenced = { events: EventDocument[]; incarnation: string };

/** Moves events from the outbox into the log, in sequence: one run at a time in this process. */
export class Sequencer {
  readonly #service: LogService;
  readonly #client: MongoClient;
  readonly #collections: LogCollections;
  readonly #signal: AbortSignal;
  readonly #log: Log;
  readonly #onSequenced: (sequence: number) => void;
  /** Sequences by event id. */
  readonly #recentSequences = new Map<string, number>();
  readonly #recentEvents = new RecentEvents();
  /** The incarnation of the kept positions. */
  #incarnation = '';
  #running: Promise<void> | undefined;
  #queued: Promise<void> | undefined;
  /** When the last run ended, by the monotonic clock. */
  #endedMs = Number.NEGATIVE_INFINITY;
  /** Ends the pause before the queued run, as soon as a caller waits for it. */
  #pause = new AbortController();

  constructor(options: {
    service: LogService;
    client: MongoClient;
    collections: LogCollections;
    /** Ends with the process. */
    signal: AbortSignal;
    log: Log;
    /** Called with the log's last sequence after it became durable. */
    onSequenced: (sequence: number) => void;
  }) {
    this.#service = options.service;
    this.#client = options.client;
    this.#collections = options.collections;
    this.#signal = options.signal;
    this.#log = options.log;
    this.#onSequenced = options.onSequenced;
  }

  /**
   * Starts a run that no caller waits for: at once if no run is in progress or has just ended; with
   * `unhurried` after a pause, so that later commits share it.
   */
  kick({ unhurried = false }: { unhurried?: boolean } = {}): void {
    this.#next().catch((error) => {
      if (!this.#signal.aborted) this.#log.warn({ err: error }, 'sequencing failed');
    });
    const isRested = performance.now() - this.#endedMs >= pauseMs;
    if (!unhurried && isRested && this.#running === undefined) this.#pause.abort();
  }

  /** Sequences everything that was committed before the call. */
  run(): Promise<void> {
    const next = this.#next();
    this.#pause.abort();
    return next;
  }

  /**
   * The position of the last of these committed events, after the current run or the next one;
   * undefined if another process has sequenced them, or this one long ago.
   */
  async positionOf(eventIds: readonly string[]): Promise<Position | undefined> {
    if (this.#recentPosition(eventIds) === undefined) await this.#running?.catch(() => {});
    if (this.#recentPosition(eventIds) === undefined) await this.run();
    return this.#recentPosition(eventIds);
  }

  /**
   * The events that this process sequenced after a sequence, from memory; undefined if memory does
   * not hold the next one. Other processes may have sequenced more.
   */
  recent({ afterSequence, limit }: ReadRange): EventBatch | undefined {
    const found = this.#recentEvents.after(afterSequence, limit);
    if (found === undefined) return undefined;
    const head = { sequence: found.lastSequence, incarnation: this.#incarnation };
    return { events: found.events.map((event) => toLoggedEvent(this.#service, event)), head };
  }

  /** Whether no run is in progress or queued. */
  get isIdle(): boolean {
    return this.#running === undefined && this.#queued === undefined;
  }

  /** Resolves when no run is in progress or queued. */
  async idle(): Promise<void> {
    await Promise.allSettled([this.#running, this.#queued]);
  }

  /** The next run: it follows the one in progress, and a pause. */
  #next(): Promise<void> {
    if (this.#queued !== undefined) return this.#queued;
    this.#pause = new AbortController();
    const { signal } = this.#pause;
    const paused = () => systemSleep(pauseMs, signal).catch(() => {});
    const before = this.#running ?? Promise.resolve();
    this.#queued = before.then(paused, paused).then(() => this.#start());
    return this.#queued;
  }

  #start(): Promise<void> {
    this.#queued = undefined;
    const running = this.#sequenceAll().finally(() => {
      this.#endedMs = performance.now();
      if (this.#running === running) this.#running = undefined;
    });
    this.#running = running;
    return running;
  }

  #recentPosition(eventIds: readonly string[]): Position | undefined {
    let last = 0;
    for (const id of eventIds) {
      const sequence = this.#recentSequences.get(id);
      if (sequence === undefined) return undefined;
      last = Math.max(last, sequence);
    }
    return { sequence: last, incarnation: this.#incarnation };
  }

  async #sequenceAll(): Promise<void> {
    for (;;) {
      const signal = this.#signal;
      const taken = await transact(this.#client, { signal }, (session) => this.#take(session));
      if (taken.sequenced !== undefined) this.add(taken.sequenced);
      if (!taken.hasMore) return;
    }
  }

  /** Sequences the events in the outbox, or the first part of them. */
  async #take(session: ClientSession): Promise<{ hasMore: boolean; sequenced?: Sequenced }> {
    const { outbox } = this.#collections;
    const limit = runBounds.countMax + 1;
    const waiting = outbox.find({}, { session, sort: { _id: 1 }, limit, batchSize: limit + 1 });
    const budget = new Budget(runBounds);
    const groups: OutboxGroup[] = [];
    let hasMore = false;
    for await (const group of waiting) {
      hasMore = !budget.take(group.events.reduce((sum, event) => sum + eventBytes(event), 0));
      if (hasMore) break;
      groups.push(group);
    }
    if (groups.length === 0) return { hasMore };
    const sequenced = await sequenceGroups(this.#collections, session, groups);
    await outbox.deleteMany({ _id: { $in: groups.map(({ _id }) => _id) } }, { session });
    return { hasMore, sequenced };
  }

  /** Keeps the result of a committed sequencing transaction, and reports the new head. */
  add({ events, incarnation }: Sequenced): void {
    // A backup was restored: events that it does not contain no longer have a position.
    if (incarnation !== this.#incarnation) {
      this.#recentSequences.clear();
      this.#recentEvents.clear();
    }
    this.#incarnation = incarnation;
    this.#recentEvents.add(events);
    for (const { id, _id: sequence } of events) this.#recentSequences.set(id, sequence);
    forgetOldest(this.#recentSequences, recentMax);
    const last = events.at(-1);
    if (last !== undefined) this.#onSequenced(last._id);
  }
}

/** Gives the events of whole groups the next sequences, in the session's transaction. */
export async function sequenceGroups(
  { log, events: collection }: LogCollections,
  session: ClientSession,
  groups: readonly Omit<OutboxGroup, '_id'>[],
): Promise<Sequenced> {
  const count = groups.reduce((sum, group) => sum + group.events.length, 0);
  // Two concurrent processes conflict here, and one of them repeats its transaction.
  const counter = await log.findOneAndUpdate(
    { _id: 'log' },
    { $inc: { sequence: count } },
    { session, returnDocument: 'after', projection: { sequence: 1, incarnation: 1 } },
  );
  if (counter === null) throw new TypeError('the event log is not set up');
  let sequence = counter.sequence - count;
  const sequenced = groups.flatMap(({ time, actor, correlationId, traceparent, events }) =>
    events.map(({ id, event, subject, body }) => {
      sequence++;
      const of = { time, actor, correlationId, ...(traceparent !== undefined && { traceparent }) };
      return { _id: sequence, id, event, subject, ...of, body };
    }),
  );
  await collection.insertMany(sequenced, { session });
  return { events: sequenced, incarnation: counter.incarnation };
}
