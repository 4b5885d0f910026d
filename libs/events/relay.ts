import { SiloError } from '@silo/errors/silo-error.ts';
import type { EventLog, Head } from '@silo/log/event-log.ts';
import { type Leadership, lead } from '@silo/log/leader.ts';
import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import { type Clock, systemClock, systemSleep } from '@silo/runtime/clock.ts';
import type { Log } from '@silo/runtime/log.ts';
import type { Progress } from '@silo/runtime/progress.ts';
import { equalJitterMs } from '@silo/runtime/random.ts';
import { runForever } from '@silo/runtime/run-forever.ts';
import type { Db } from 'mongodb';
import { ulid } from 'ulid';
import type { MessageKey } from './authentication.ts';
import { Broker } from './broker.ts';
import { compare } from './comparison.ts';
import type { NatsLink } from './connect.ts';
import { tellPages } from './pages.ts';
import { RelayPosition } from './relay-position.ts';
import { type StreamOptions, streamKeepsMs } from './stream.ts';

/** How many events are on their way at once. */
const batchMax = 200;
/** How often the log's head is read without a hint: a restored backup gives none. */
const pollMs = 5_000;
/** How often the leader looks for events that a dead process left without a sequence. */
const leftoversMs = 1_000;
/** Between two heads that are told of. */
const headPauseMs = 250;
const noteIntervalMs = 1_000;
const checkIntervalMs = 5_000;
/** Clocks of broker and services may differ by this much at the old end of the stream. */
const clockMarginMs = 60 * 60 * 1000;
const backoff = { baseMs: 100, capMs: 2_000 };

export type RelayOptions = {
  eventLog: EventLog;
  /** The service's database. */
  db: Db;
  nats: NatsLink;
  stream: StreamOptions;
  /** Signs event batches; undefined while there is none: then guards learn by their renewals. */
  signingKey: () => MessageKey | undefined;
  /** Names this process among the candidates; new at every start. */
  owner: string;
  signal: AbortSignal;
  log: Log;
  /** Told how it gets on, while this process is the leader. */
  progress: Progress;
  clock?: Clock;
  /**
   * Called by the leader with every head of the log, also where NATS is away; called again where it
   * rejects.
   */
  onHead?: ((head: Head, signal: AbortSignal) => Promise<void>) | undefined;
  /** For tests: how often the stream is looked after. */
  checkIntervalMs?: number;
};

/**
 * Brings one service's log to JetStream, in order and at least once, whenever this process is its
 * leader, until the signal. Two at once do no harm. It also numbers what dead processes left behind,
 * and tells guards of what is numbered, which waits for no repair of the stream.
 * NATS may be away for as long as it likes.
 */
export async function runRelay(options: RelayOptions): Promise<void> {
  const { db, owner, signal, log, eventLog } = options;
  await lead({ db, name: 'relay', owner, signal, log }, async (term) => {
    const numbering = {
      name: 'number-leftovers',
      intervalMs: leftoversMs,
      signal: term.signal,
      log,
    };
    await Promise.all([
      runForever(numbering, () => eventLog.numberLeftovers()),
      followHead(options, term.signal),
      tellPages({ ...options, subjectPrefix: options.stream.subjectPrefix }, term.signal),
      relayDuring(options, term),
    ]);
    options.progress.clear();
  });
}

/**
 * Tells of heads, a little late: whoever decided the change tells of it too, and is then the first
 * to.
 */
async function followHead(
  { eventLog, log, onHead }: RelayOptions,
  signal: AbortSignal,
): Promise<void> {
  if (onHead === undefined) return;
  let told: Head | undefined;
  await runForever({ name: 'follow-head', intervalMs: headPauseMs, signal, log }, async () => {
    const head = await eventLog.head(signal);
    if (head.sequence !== told?.sequence || head.incarnation !== told.incarnation) {
      await onHead(head, signal);
      told = head;
    }
    await eventLog.past(head.sequence, pollMs, signal);
  });
}

/** Relays for one term of leadership. Never rejects; resolves soon after the term's signal. */
export function relayDuring(options: RelayOptions, term: Leadership): Promise<void> {
  return new Relay(options, term).run();
}

class Relay {
  readonly #options: RelayOptions;
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  readonly #position: RelayPosition;
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
    const { log, progress } = this.#options;
    let failures = 0;
    while (!this.#signal.aborted) {
      try {
        await this.#session();
        failures = 0;
      } catch (error) {
        if (this.#signal.aborted) break;
        failures++;
        progress.failed();
        log.warn({ failures, err: error }, 'relaying was interrupted');
      }
      const pauseMs = equalJitterMs(Math.max(1, failures), backoff);
      await systemSleep(pauseMs, this.#signal).catch(() => {});
    }
    await this.#note().catch((error) => log.warn({ err: error }, 'the position was not noted'));
  }

  /** Compares once, then relays until there is reason to compare again. */
  async #session(): Promise<void> {
    const { nats, eventLog, stream, log, progress } = this.#options;
    if (!nats.connected.value) progress.failed();
    const connection = await nats.ready(this.#signal);
    const { losses } = nats;
    const { service, region } = eventLog;
    const { incarnation } = await eventLog.head(this.#signal);
    const source = { service, region, subjectPrefix: stream.subjectPrefix, incarnation };
    const broker = await Broker.open(connection, source, stream);
    const { reach, repair, isPremature } = await this.#compare(broker);
    // The stream was deleted, and another service made it again before this one noticed.
    if (isPremature) await broker.clear();
    const repairId = repair ? ulid().toLowerCase() : undefined;
    if (repairId !== undefined) {
      log.warn({ from: reach + 1, repair: repairId }, 'the stream lost events: publishing again');
    }
    const isSame = (head: Head) => nats.losses === losses && head.incarnation === incarnation;
    await this.#follow(broker, reach, repairId, isSame);
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

  async #follow(
    broker: Broker,
    reach: number,
    repairId: string | undefined,
    isSame: (head: Head) => boolean,
  ): Promise<void> {
    const { eventLog, progress, checkIntervalMs: checkMs = checkIntervalMs } = this.#options;
    let position = reach;
    // What is repaired was out before; what follows it never was, and keeps its plain id.
    const repairUntil = repairId === undefined ? 0 : (await eventLog.head()).sequence;
    let checkedMs = this.#clock.monotonicMs();
    for (;;) {
      const { events, head } = await this.#read(position);
      // Another connection, or another life of the log: begin with a comparison.
      if (!isSame(head)) return;
      const last = events.at(-1);
      if (last === undefined) {
        progress.made();
        await this.#noteSometimes();
        await eventLog.past(position, Math.min(pollMs, checkMs), this.#signal);
      } else {
        const isRepair = events[0] !== undefined && events[0].sequence <= repairUntil;
        const duplicate = await broker.publish(events, isRepair ? repairId : undefined);
        progress.made();
        position = last.sequence;
        this.#published = Math.max(this.#published, position);
        await this.#noteSometimes();
        // The broker says it has what we did not find there: look again, and repair if it errs.
        if (duplicate) return;
      }
      if (this.#clock.monotonicMs() - checkedMs >= checkMs) {
        checkedMs = this.#clock.monotonicMs();
        if (await broker.lostSomething()) return;
      }
    }
  }

  async #read(afterSequence: number) {
    const { eventLog, log } = this.#options;
    const range = { afterSequence, limit: batchMax };
    try {
      // Mostly this process has numbered what it publishes: no need to read it back.
      return eventLog.justNumbered(range) ?? (await eventLog.read(range, this.#signal));
    } catch (error) {
      const first = compactedTo(error);
      if (first === undefined) throw error;
      // Away for longer than the log keeps events: what is left is all that there is to tell.
      log.error({ afterSequence, first }, 'the log no longer holds what was never published');
      return await eventLog.read({ afterSequence: first - 1, limit: batchMax }, this.#signal);
    }
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

function compactedTo(error: unknown): number | undefined {
  const isCompacted =
    error instanceof SiloError && error.reason === ErrorReason.ERROR_REASON_LOG_COMPACTED;
  return isCompacted ? Number(error.metadata.first_sequence) : undefined;
}
