import { type EventLog, recentFirst } from '@silo/log/event-log.ts';
import { type Leadership, lead } from '@silo/log/leader.ts';
import type { EventBatch } from '@silo/log/log-reader.ts';
import type { Position } from '@silo/log/position.ts';
import { subscribe } from '@silo/log/subscribe.ts';
import { type Clock, systemClock, systemSleep } from '@silo/runtime/clock.ts';
import type { Log } from '@silo/runtime/log.ts';
import type { Progress } from '@silo/runtime/progress.ts';
import { runForever } from '@silo/runtime/run-forever.ts';
import type { Db } from 'mongodb';
import { ulid } from 'ulid';
import type { MessageKey } from './authentication.ts';
import { broadcastEvents } from './broadcast.ts';
import { Broker } from './broker.ts';
import { compare } from './comparison.ts';
import type { NatsLink } from './connect.ts';
import { RelayPosition } from './relay-position.ts';
import { type StreamOptions, streamKeepsMs } from './stream.ts';

/** Maximum number of events that await the broker's acknowledgement. */
const batchMax = 200;
/** Maximum interval between comparisons of the stream with the log's head. */
const idleMs = 5_000;
/** Minimum interval between two raises of the requirement. */
const headPauseMs = 250;
const noteIntervalMs = 1_000;
const checkIntervalMs = 5_000;
/**
 * The clocks of broker and services may differ by this much, which matters for the oldest messages
 * of the stream.
 */
const clockMarginMs = 60 * 60 * 1000;

export type RelayOptions = {
  eventLog: EventLog;
  /** The service's database. */
  db: Db;
  nats: NatsLink;
  stream: StreamOptions;
  /**
   * The key that signs event batches; undefined if there is none: then guards learn of events when
   * they renew.
   */
  signingKey: () => MessageKey | undefined;
  /** Identifies this process among the candidates; new at every start. */
  owner: string;
  signal: AbortSignal;
  log: Log;
  /** The progress of the relay, while this process is the leader. */
  progress: Progress;
  /** Resolves when events may wait in the outbox, or after a while. */
  untilOrphaned: (signal: AbortSignal) => Promise<void>;
  clock?: Clock;
  /** Called by the leader with every new head of the log, even while NATS is down. Retried. */
  onHead?: ((head: Position, signal: AbortSignal) => Promise<void>) | undefined;
  /** For tests: how often the stream is checked. */
  checkIntervalMs?: number;
};

/**
 * Publishes one service's log to JetStream, in order and at least once, whenever this process is
 * its leader, until the signal. The leader also sequences orphaned events, broadcasts events to
 * guards, and reports the log's head; the last two do not wait for a repair of the stream. Two
 * leaders at once do no harm. NATS may be down for any time.
 */
export async function runRelay(options: RelayOptions): Promise<void> {
  const { db, owner, signal, log, eventLog } = options;
  await lead({ db, name: 'relay', owner, signal, log }, async (term) => {
    const orphans = { name: 'orphaned-events', intervalMs: 0, signal: term.signal, log };
    await Promise.all([
      runForever(orphans, async (untilSignal) => {
        await eventLog.sequenceOrphanedEvents();
        await options.untilOrphaned(untilSignal);
      }),
      reportHeads(options, term.signal),
      broadcastEvents({ ...options, subjectPrefix: options.stream.subjectPrefix }, term.signal),
      relayDuring(options, term),
    ]);
    options.progress.clear();
  });
}

/**
 * Reports new heads with a delay, because the call that made the change usually reports them first.
 */
async function reportHeads(
  { eventLog, log, onHead }: RelayOptions,
  signal: AbortSignal,
): Promise<void> {
  if (onHead === undefined) return;
  let reported: Position | undefined;
  await subscribe(
    eventLog,
    (head) => head.sequence,
    async ({ head }) => {
      if (head.sequence === reported?.sequence && head.incarnation === reported.incarnation) {
        return undefined;
      }
      await onHead(head, signal);
      reported = head;
      await systemSleep(headPauseMs, signal);
      return undefined;
    },
    { name: 'requirement', batchMax: 0, signal, log },
  );
}

/**
 * Relays for one term of leadership. Never rejects; resolves soon after the term's signal.
 * @internal Exported for tests.
 */
export function relayDuring(options: RelayOptions, term: Leadership): Promise<void> {
  return new Relay(options, term).run();
}

/** One comparison of the stream with the log, and the events published after it. */
type Session = {
  broker: Broker;
  /** Number of connection losses before the session: a further one requires a new comparison. */
  losses: number;
  /** Part of the message ids of events that were published before and are published again. */
  repairId: string | undefined;
  /** The last event that may have been published before. */
  repairUntil: number;
  checkedMs: number;
};

class Relay {
  readonly #options: RelayOptions;
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  readonly #position: RelayPosition;
  #session: Session | undefined;
  /** The last sequence that the broker acknowledged, now or to an earlier leader. */
  #published = 0;
  #noted = 0;
  #notedMs = 0;

  constructor(options: RelayOptions, { fence, signal }: Leadership) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#signal = signal;
    this.#position = new RelayPosition(options.db, fence);
  }

  async run(): Promise<void> {
    const { eventLog, log, progress, checkIntervalMs: checkMs = checkIntervalMs } = this.#options;
    await subscribe(
      recentFirst(eventLog),
      (head) => this.#open(head),
      (batch) => this.#publish(batch),
      {
        ...{
          name: 'relay',
          batchMax,
          idleMs: Math.min(idleMs, checkMs),
          signal: this.#signal,
          log,
        },
        onProgress: (outcome) => (outcome === 'made' ? progress.made() : progress.failed()),
      },
    );
    await this.#note().catch((error) => log.warn({ err: error }, 'relay position not stored'));
  }

  /**
   * Compares the stream with the log, and returns the last event that the stream certainly
   * contains.
   */
  async #open({ incarnation, sequence: repairUntil }: Position): Promise<number> {
    const { nats, eventLog, stream, log, progress } = this.#options;
    if (!nats.connected.value) progress.failed();
    const connection = await nats.ready(this.#signal);
    const { losses } = nats;
    const { service, region } = eventLog;
    const source = { service, region, subjectPrefix: stream.subjectPrefix, incarnation };
    const broker = await Broker.open(connection, source, stream);
    const { reach, repair, isPremature } = await this.#compare(broker);
    // The stream was deleted, and another service created it before this relay noticed.
    if (isPremature) await broker.clear();
    const repairId = repair ? ulid().toLowerCase() : undefined;
    if (repairId !== undefined) {
      log.warn({ from: reach + 1, repair: repairId }, 'the stream lost events: publishing again');
    }
    const checkedMs = this.#clock.monotonicMs();
    this.#session = { broker, losses, repairId, repairUntil, checkedMs };
    return reach;
  }

  async #compare(broker: Broker) {
    const { eventLog } = this.#options;
    const noted = await this.#position.read();
    this.#published = Math.max(this.#published, noted);
    const since = new Date(this.#clock.now().getTime() - streamKeepsMs + clockMarginMs);
    const oldestKept = await eventLog.firstSequenceSince(since, this.#signal);
    const windowStart = Math.min(oldestKept, this.#published + 1);
    return compare(await broker.sequences(), { windowStart, published: this.#published });
  }

  async #publish({ events, firstSequence }: EventBatch): Promise<'restart' | undefined> {
    const { nats, log, checkIntervalMs: checkMs = checkIntervalMs } = this.#options;
    const session = this.#session;
    // The connection is a new one, so compare again.
    if (session === undefined || nats.losses !== session.losses) return 'restart';
    if (firstSequence !== undefined) {
      // NATS was down for longer than the log keeps events.
      log.error({ firstSequence }, 'the log no longer holds events that were never published');
    }
    const [first] = events;
    const last = events.at(-1);
    if (first !== undefined && last !== undefined) {
      // Events after the repaired ones were never published, and keep their plain id.
      const repairId = first.sequence <= session.repairUntil ? session.repairId : undefined;
      const hasDuplicate = await session.broker.publish(events, repairId);
      this.#published = Math.max(this.#published, last.sequence);
      // The broker has an event that is missing from the stream: compare again, and repair if
      // necessary.
      if (hasDuplicate) return 'restart';
    }
    await this.#noteSometimes();
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - session.checkedMs < checkMs) return undefined;
    session.checkedMs = nowMs;
    return (await session.broker.lostSomething()) ? 'restart' : undefined;
  }

  async #noteSometimes(): Promise<void> {
    if (this.#clock.monotonicMs() - this.#notedMs >= noteIntervalMs) await this.#note();
  }

  async #note(): Promise<void> {
    if (this.#published <= this.#noted) return;
    const sequence = this.#published;
    await this.#position.note(sequence);
    this.#noted = sequence;
    this.#notedMs = this.#clock.monotonicMs();
  }
}
