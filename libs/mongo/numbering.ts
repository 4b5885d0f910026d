import { systemSleep } from '@silo/runtime/clock.ts';
import type { Log } from '@silo/runtime/log.ts';
import type { ClientSession, MongoClient } from 'mongodb';
import type { LogCollections } from './collections.ts';
import type { EventDocument, OutboxGroup } from './documents.ts';
import type { Head } from './log-reader.ts';
import { transact } from './transact.ts';

/** How many groups one transaction numbers at most. */
const groupsMax = 500;
/** Between two runs that nobody waits for: more commits then share a transaction. */
const pauseMs = 10;
/** How many positions are kept in memory for those who are about to ask. */
const recentMax = 20_000;

/** What one transaction numbered. */
type Batch = { groups: number; events: EventDocument[]; incarnation: string };

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
  /** Of what is recent. */
  #incarnation = '';
  #running: Promise<void> | undefined;
  #queued: Promise<void> | undefined;
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

  /** Starts a run that nobody waits for. What it leaves behind, the next run takes. */
  kick(): void {
    this.#next().catch((error) => {
      if (!this.#signal.aborted) this.#log.warn({ err: error }, 'numbering failed');
    });
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

  /** Resolves when nothing runs any more. */
  async idle(): Promise<void> {
    await Promise.allSettled([this.#running, this.#queued]);
  }

  /** The next run to begin: at once where none is under way or just over, else after a pause. */
  #next(): Promise<void> {
    if (this.#queued !== undefined) return this.#queued;
    if (this.#running === undefined) return this.#start();
    this.#pause = new AbortController();
    const { signal } = this.#pause;
    const paused = () => systemSleep(pauseMs, signal).catch(() => {});
    this.#queued = this.#running.then(paused, paused).then(() => this.#start());
    return this.#queued;
  }

  #start(): Promise<void> {
    this.#queued = undefined;
    const running = this.#numberAll().finally(() => {
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
      const batch = await transact(this.#client, { signal }, (session) => this.#batch(session));
      const last = batch.events.at(-1);
      if (last !== undefined) {
        this.#remember(batch);
        this.#onNumbered(last._id);
      }
      if (batch.groups < groupsMax) return;
    }
  }

  async #batch(session: ClientSession): Promise<Batch> {
    const { outbox, events, log } = this.#collections;
    const groups = await outbox
      .find({}, { session, sort: { _id: 1 }, limit: groupsMax, batchSize: groupsMax + 1 })
      .toArray();
    const count = groups.reduce((sum, group) => sum + group.events.length, 0);
    if (count === 0) return { groups: 0, events: [], incarnation: '' };
    // Two processes at once meet here: one of them conflicts, and goes again.
    const counter = await log.findOneAndUpdate(
      { _id: 'log' },
      { $inc: { sequence: count } },
      { session, returnDocument: 'after', projection: { sequence: 1, incarnation: 1 } },
    );
    if (counter === null) throw new TypeError('the event log is not set up');
    const numbered = numberGroups(groups, counter.sequence - count);
    await events.insertMany(numbered, { session });
    await outbox.deleteMany({ _id: { $in: groups.map(({ _id }) => _id) } }, { session });
    return { groups: groups.length, events: numbered, incarnation: counter.incarnation };
  }

  #remember({ events: numbered, incarnation }: Batch): void {
    // A backup was restored: what it does not hold has no place any more.
    if (incarnation !== this.#incarnation) this.#recent.clear();
    this.#incarnation = incarnation;
    for (const { id, _id: sequence } of numbered) this.#recent.set(id, sequence);
    for (const id of this.#recent.keys()) {
      if (this.#recent.size <= recentMax) break;
      this.#recent.delete(id); // the oldest: a Map keeps the order of insertion
    }
  }
}

/** Gives the events of whole groups the numbers that follow `afterSequence`. */
function numberGroups(groups: OutboxGroup[], afterSequence: number): EventDocument[] {
  let sequence = afterSequence;
  return groups.flatMap(({ time, actor, correlationId, events }) =>
    events.map(({ id, event, subject, body }) => {
      sequence++;
      return { _id: sequence, id, event, subject, time, actor, correlationId, body };
    }),
  );
}
