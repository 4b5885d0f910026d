import { transact } from '@silo/mongo/transaction-retry.ts';
import { Budget } from '@silo/runtime/budget.ts';
import { systemSleep } from '@silo/runtime/clock.ts';
import { forgetOldest } from '@silo/runtime/forget-oldest.ts';
import type { Log } from '@silo/runtime/log.ts';
import type { ClientSession, MongoClient } from 'mongodb';
import type { LogCollections } from './collections.ts';
import type { EventDocument, OutboxGroup } from './documents.ts';
import { eventBytes, type Head } from './log-reader.ts';
import { RecentEvents } from './recent-events.ts';

/** How much one transaction numbers at most: so many groups, or bytes of their events. */
const runBounds = { countMax: 500, bytesMax: 4 * 1024 * 1024 };
/** Between two runs that nobody waits for: more commits then share a transaction. */
const pauseMs = 50;
/** How many positions are kept in memory for those who are about to ask. */
const recentMax = 20_000;

/** What one transaction numbered. */
export type Numbered = { events: EventDocument[]; incarnation: string };

/** Told after numbers became durable: the log's last sequence. */
export type NumberedListener = (sequence: number) => void;

/** Numbers what the outbox holds: one run at a time in this process, however many ask. */
export class Numbering {
  readonly #client: MongoClient;
  readonly #collections: LogCollections;
  readonly #signal: AbortSignal;
  readonly #log: Log;
  readonly #onNumbered: NumberedListener;
  readonly #recent = new Map<string, number>();
  readonly #last = new RecentEvents();
  /** Of what is recent. */
  #incarnation = '';
  #running: Promise<void> | undefined;
  #queued: Promise<void> | undefined;
  /** When the last run was over, by the monotonic clock. */
  #endedMs = Number.NEGATIVE_INFINITY;
  /** Of the queued run: cut short as soon as somebody waits for it. */
  #pause = new AbortController();

  constructor(options: {
    client: MongoClient;
    collections: LogCollections;
    /** Ends with the process. */
    signal: AbortSignal;
    log: Log;
    onNumbered: NumberedListener;
  }) {
    this.#client = options.client;
    this.#collections = options.collections;
    this.#signal = options.signal;
    this.#log = options.log;
    this.#onNumbered = options.onNumbered;
  }

  /**
   * A run that nobody waits for: at once where none is under way or just over, `unhurried` after a
   * pause, so that what follows shares it. What it leaves behind, the next run takes.
   */
  kick({ unhurried = false }: { unhurried?: boolean } = {}): void {
    this.#next().catch((error) => {
      if (!this.#signal.aborted) this.#log.warn({ err: error }, 'numbering failed');
    });
    const isRested = performance.now() - this.#endedMs >= pauseMs;
    if (!unhurried && isRested && this.#running === undefined) this.#pause.abort();
  }

  /** Resolves when a run that began after this call has ended: what was committed is numbered. */
  run(): Promise<void> {
    const next = this.#next();
    this.#pause.abort();
    return next;
  }

  /**
   * The place of the last of these committed events, by the run that goes on or by the next one;
   * undefined where another process has numbered them, or this one long ago.
   */
  async placeOf(eventIds: readonly string[]): Promise<Head | undefined> {
    if (this.#recentPlace(eventIds) === undefined) await this.#running?.catch(() => {});
    if (this.#recentPlace(eventIds) === undefined) await this.run();
    return this.#recentPlace(eventIds);
  }

  /**
   * What was numbered here after a sequence, at once; undefined where nothing was, or not all of it.
   * Others may have numbered more.
   */
  after(sequence: number, limit: number): { events: EventDocument[]; head: Head } | undefined {
    const found = this.#last.after(sequence, limit);
    if (found === undefined) return undefined;
    const head = { sequence: found.lastSequence, incarnation: this.#incarnation };
    return { events: found.events, head };
  }

  /** Whether nothing is being numbered here, nor about to be. */
  get isIdle(): boolean {
    return this.#running === undefined && this.#queued === undefined;
  }

  /** Resolves when nothing runs any more. */
  async idle(): Promise<void> {
    await Promise.allSettled([this.#running, this.#queued]);
  }

  /** The next run to begin: after the one that is under way, and a pause. */
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
    const running = this.#numberAll().finally(() => {
      this.#endedMs = performance.now();
      if (this.#running === running) this.#running = undefined;
    });
    this.#running = running;
    return running;
  }

  #recentPlace(eventIds: readonly string[]): Head | undefined {
    let last = 0;
    for (const id of eventIds) {
      const sequence = this.#recent.get(id);
      if (sequence === undefined) return undefined;
      last = Math.max(last, sequence);
    }
    return { sequence: last, incarnation: this.#incarnation };
  }

  async #numberAll(): Promise<void> {
    for (;;) {
      const signal = this.#signal;
      const taken = await transact(this.#client, { signal }, (session) => this.#take(session));
      if (taken.numbered !== undefined) this.note(taken.numbered);
      if (!taken.hasMore) return;
    }
  }

  /** Numbers what the outbox holds, or the first part of it. */
  async #take(session: ClientSession): Promise<{ hasMore: boolean; numbered?: Numbered }> {
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
    const numbered = await numberGroups(this.#collections, session, groups);
    await outbox.deleteMany({ _id: { $in: groups.map(({ _id }) => _id) } }, { session });
    return { hasMore, numbered };
  }

  /** Takes note of what a transaction has numbered, and tells of it. */
  note({ events: numbered, incarnation }: Numbered): void {
    // A backup was restored: what it does not hold has no place any more.
    if (incarnation !== this.#incarnation) {
      this.#recent.clear();
      this.#last.clear();
    }
    this.#incarnation = incarnation;
    this.#last.add(numbered);
    for (const { id, _id: sequence } of numbered) this.#recent.set(id, sequence);
    forgetOldest(this.#recent, recentMax);
    const last = numbered.at(-1);
    if (last !== undefined) this.#onNumbered(last._id);
  }
}

/** Gives the events of whole groups the next numbers, in the transaction of the session. */
export async function numberGroups(
  { log, events: collection }: LogCollections,
  session: ClientSession,
  groups: readonly Omit<OutboxGroup, '_id'>[],
): Promise<Numbered> {
  const count = groups.reduce((sum, group) => sum + group.events.length, 0);
  // Two processes at once meet here: one of them conflicts, and goes again.
  const counter = await log.findOneAndUpdate(
    { _id: 'log' },
    { $inc: { sequence: count } },
    { session, returnDocument: 'after', projection: { sequence: 1, incarnation: 1 } },
  );
  if (counter === null) throw new TypeError('the event log is not set up');
  let sequence = counter.sequence - count;
  const numbered = groups.flatMap(({ time, actor, correlationId, events }) =>
    events.map(({ id, event, subject, body }) => {
      sequence++;
      return { _id: sequence, id, event, subject, time, actor, correlationId, body };
    }),
  );
  await collection.insertMany(numbered, { session });
  return { events: numbered, incarnation: counter.incarnation };
}
