import { randomUUID } from 'node:crypto';
import type { LoggedEvent } from '@silo/log/log-reader.ts';
import { eventBytesMax } from '@silo/log/stored-events.ts';
import { tracedEvent, traceHeaders } from '@silo/runtime/tracing.ts';
import {
  AckPolicy,
  type Consumer,
  DeliverPolicy,
  headers,
  type JetStreamClient,
  type JetStreamManager,
  type NatsConnection,
  nanos,
  type PubAck,
  type StreamInfo,
} from 'nats';
import { type EventSource, envelopeOf, placedBy, serviceSubjects } from './envelope.ts';
import { eventSpan } from './event-span.ts';
import { ensureStream, isApiError, type StreamOptions, streamKeepsMs } from './stream.ts';

const timeoutMs = 5_000;
const readBatchMax = 1_000;
const messageNotFound = 10037;
/** The message size that the broker must accept: the largest event and its headers. */
const payloadMin = eventBytesMax + 4 * 1024;

/** The last message of this relay that the broker acknowledged. */
type Acknowledged = { streamSequence: number; id: string };

/** The operations of JetStream that the relay uses, over one connection. */
export class Broker {
  readonly #source: EventSource;
  readonly #stream: StreamOptions;
  readonly #client: JetStreamClient;
  readonly #manager: JetStreamManager;
  #seen: StreamInfo;
  #acknowledged: Acknowledged | undefined;

  private constructor(
    source: EventSource,
    stream: StreamOptions,
    client: JetStreamClient,
    manager: JetStreamManager,
    seen: StreamInfo,
  ) {
    this.#source = source;
    this.#stream = stream;
    this.#client = client;
    this.#manager = manager;
    this.#seen = seen;
  }

  /**
   * Checks that the broker accepts every event, and that the stream exists. Later changes are
   * detected by comparison with its state now.
   */
  static async open(
    connection: NatsConnection,
    source: EventSource,
    stream: StreamOptions,
  ): Promise<Broker> {
    const payloadMax = connection.info?.max_payload ?? 0;
    if (payloadMax < payloadMin) {
      throw new Error(`NATS takes ${payloadMax} bytes: set max_payload to ${payloadMin} or more`);
    }
    const manager = await connection.jetstreamManager({ timeout: timeoutMs });
    const client = connection.jetstream({ timeout: timeoutMs });
    const seen = await ensureStream(manager, stream);
    return new Broker(source, stream, client, manager, seen);
  }

  /** The sequences of the service's events that the stream holds, in the stream's order. */
  async sequences(): Promise<number[]> {
    const { name } = this.#stream;
    const lastStreamSequence = await this.#lastOfService();
    if (lastStreamSequence === undefined) return [];
    const consumer = await this.#manager.consumers.add(name, {
      name: `silo-relay-${randomUUID()}`,
      ack_policy: AckPolicy.None,
      deliver_policy: DeliverPolicy.All,
      filter_subject: serviceSubjects(this.#source),
      headers_only: true,
      mem_storage: true,
      num_replicas: 1,
      inactive_threshold: nanos(60_000),
    });
    try {
      const reader = await this.#client.consumers.get(name, consumer.name);
      return await readUntil(reader, lastStreamSequence);
    } finally {
      // The consumer is also removed by itself after a minute without a reader.
      await this.#manager.consumers.delete(name, consumer.name).catch(() => {});
    }
  }

  /**
   * Deletes the service's events from the stream, so that all of them can be published again, in
   * order.
   */
  async clear(): Promise<void> {
    await this.#manager.streams.purge(this.#stream.name, { filter: serviceSubjects(this.#source) });
    this.#seen = await this.#manager.streams.info(this.#stream.name);
  }

  /** The place of the service's last event in the stream; undefined if there is none. */
  async #lastOfService(): Promise<number | undefined> {
    try {
      const last = await this.#manager.streams.getMessage(this.#stream.name, {
        last_by_subj: serviceSubjects(this.#source),
      });
      return last.seq;
    } catch (error) {
      if (isApiError(error, messageNotFound)) return undefined;
      throw error;
    }
  }

  /**
   * Publishes events in order, and resolves when the broker has acknowledged all of them, with
   * whether it already had one of them. Rejects if any is not acknowledged.
   */
  async publish(events: readonly LoggedEvent[], repair: string | undefined): Promise<boolean> {
    const acknowledgements = events.map((event) =>
      tracedEvent(event, eventSpan('publish', event, 'producer'), () => this.#send(event, repair)),
    );
    const settled = await Promise.allSettled(acknowledgements);
    let duplicate = false;
    for (const [index, outcome] of settled.entries()) {
      if (outcome.status === 'rejected') throw outcome.reason;
      const id = events[index]?.id ?? '';
      duplicate ||= outcome.value.duplicate === true;
      if (!outcome.value.duplicate) this.#acknowledged = { streamSequence: outcome.value.seq, id };
    }
    return duplicate;
  }

  async #send(event: LoggedEvent, repair: string | undefined): Promise<PubAck> {
    const envelope = envelopeOf(this.#source, event, repair);
    const messageHeaders = headers();
    // `ce-traceparent` names the span of the call, `traceparent` that of this publication.
    const all = { ...envelope.headers, ...(event.traceparent && traceHeaders()) };
    for (const [name, value] of Object.entries(all)) messageHeaders.set(name, value);
    return await this.#client.publish(envelope.subject, envelope.body, {
      headers: messageHeaders,
      timeout: timeoutMs,
      expect: { streamName: this.#stream.name },
    });
  }

  /** Whether the stream may have lost something since the last call, or since it was opened. */
  async lostSomething(): Promise<boolean> {
    const before = this.#seen;
    const now = await this.#manager.streams.info(this.#stream.name);
    this.#seen = now;
    // Only messages that are too old may be missing at the beginning.
    const shrank = now.state.first_seq > before.state.first_seq && !isExpired(before);
    return (
      now.created !== before.created ||
      shrank ||
      now.state.last_seq < before.state.last_seq ||
      deletedOf(now) > deletedOf(before) ||
      !(await this.#holdsAcknowledged(now))
    );
  }

  async #holdsAcknowledged({ state }: StreamInfo): Promise<boolean> {
    if (this.#acknowledged === undefined) return true;
    const { streamSequence, id } = this.#acknowledged;
    // Also true for a message that is missing at the beginning, whether purged or too old; the
    // comparison distinguishes them.
    if (state.last_seq < streamSequence || state.first_seq > streamSequence) return false;
    const message = await this.#manager.streams.getMessage(this.#stream.name, {
      seq: streamSequence,
    });
    return placedBy((header) => message.header.get(header))?.id === id;
  }
}

/**
 * The number of messages that are missing from the middle: the server omits a zero, contrary to the
 * type.
 */
function deletedOf({ state }: { state: Partial<StreamInfo['state']> }): number {
  return state.num_deleted ?? 0;
}

function isExpired({ state }: StreamInfo): boolean {
  return state.messages === 0 || Date.parse(state.first_ts) <= Date.now() - streamKeepsMs + 60_000;
}

/** Reads up to an existing message. The pending count of a consumer includes deleted ones. */
async function readUntil(reader: Consumer, lastStreamSequence: number): Promise<number[]> {
  const sequences: number[] = [];
  for (let reached = 0; reached < lastStreamSequence; ) {
    const before = reached;
    const messages = await reader.fetch({ max_messages: readBatchMax, expires: timeoutMs });
    for await (const message of messages) {
      reached = message.info.streamSequence;
      const placed = placedBy((header) => message.headers?.get(header));
      if (placed !== undefined) sequences.push(placed.sequence);
      if (reached >= lastStreamSequence) break;
    }
    if (reached === before) throw new Error('the stream ended before all of it was read');
  }
  return sequences;
}
