import type { Silo } from '@silo/embedded/silo.ts';
import {
  CaptureResult,
  EventServiceClient,
} from '@silo/protos/gen/silo/project/v1/event_service.ts';
import { type CallOptions, type Connected, connect, createChannel } from '@silo/rpc/client.ts';
import { Binary, type Collection, type Db, type Document, MongoClient } from 'mongodb';
import type { Live } from './live.ts';
import type { Load } from './measure.ts';
import { commonHost, jsonBytes, webEvents, webUuid } from './web-events.ts';

const collectionName = 'captured_events';
const callDeadlineMs = 20_000;
const batchSize = 1_000;
const samplesOfJson = 1_000;
const spanMs = 30 * 24 * 60 * 60 * 1_000;

/** A stored event, the sample for the events of a floor. */
export type StoredEvent = Document & { _id: { project: string; uuid: Binary }; time: Date };

export type EventClient = Disposable & Connected<EventServiceClient>;

/**
 * The service's events over public gRPC, on one connection. Each call sets its caller with `as`.
 */
export function eventClient(
  { endpoints: { ca, services } }: Pick<Silo, 'endpoints'>,
  address = services.project.public,
): EventClient {
  const channel = createChannel(address, { ca });
  const options = { refusals: true, deadlineMs: callDeadlineMs };
  const client = connect(EventServiceClient, channel, options);
  return { ...client, [Symbol.dispose]: () => channel.close() };
}

/** Calls with a project token or an API key. */
export function as(credential: string): CallOptions {
  return { metadata: { authorization: `Bearer ${credential}` } };
}

/**
 * The stored documents of events that are captured for this purpose, in the project of the token.
 */
export async function captureSamples(
  silo: Pick<Silo, 'endpoints'>,
  live: Live,
  { projectId, projectToken }: { projectId: string; projectToken: string },
  count: number,
): Promise<StoredEvent[]> {
  using client = eventClient(silo);
  for (let left = count; left > 0; left -= batchSize) {
    const events = webEvents(Math.min(left, batchSize), left);
    const { outcomes } = await client.captureEvents(
      { events, superProperties: '' },
      as(projectToken),
    );
    if (outcomes.some(({ result }) => result !== CaptureResult.CAPTURE_RESULT_STORED)) {
      throw new Error('not all events were stored');
    }
  }
  return await live
    .collection<StoredEvent>('project', collectionName)
    .find({ '_id.project': projectId })
    .limit(count)
    .toArray();
}

/** A copy of a stored event with another id. */
function copyOf(sample: StoredEvent, project: string, time = new Date()): StoredEvent {
  const uuid = new Binary(
    Buffer.from(webUuid(time).replaceAll('-', ''), 'hex'),
    Binary.SUBTYPE_UUID,
  );
  return { ...sample, _id: { project, uuid }, time };
}

/**
 * This number of copies, of samples and projects in turn, spread over the last 30 days in their
 * order.
 */
export function* copies(
  samples: readonly StoredEvent[],
  projectIds: readonly string[],
  count: number,
): Generator<StoredEvent> {
  const startMs = Date.now() - spanMs;
  for (let index = 0; index < count; index++) {
    // Shifted, so that every project gets every sample.
    const turn = Math.floor(index / projectIds.length);
    const sample = samples[(index + turn) % samples.length];
    const projectId = projectIds[index % projectIds.length];
    if (sample === undefined || projectId === undefined) return;
    yield copyOf(sample, projectId, new Date(startMs + (index / count) * spanMs));
  }
}

/** The newest events of a project with a common host: a bare find on the best index. */
export async function newestByHost(
  events: Collection<StoredEvent>,
  project: string,
  count: number,
): Promise<StoredEvent[]> {
  return await events
    .find({ '_id.project': project, x0: commonHost })
    .sort({ time: -1, '_id.uuid': -1 })
    .hint('by_x0')
    .limit(count)
    .toArray();
}

/** MongoDB without any code of Silo, for the floors of rows about events. */
export class BareEvents implements AsyncDisposable {
  readonly #client: MongoClient;
  readonly #db: Db;

  private constructor(client: MongoClient, database: string) {
    this.#client = client;
    this.#db = client.db(database);
  }

  static async open(url: string, database: string): Promise<BareEvents> {
    const client = new MongoClient(url, { readConcern: { level: 'majority' } });
    await client.connect();
    return new BareEvents(client, database);
  }

  get collection(): Collection<StoredEvent> {
    return this.#db.collection(collectionName);
  }

  /** Creates the indexes that another collection has. */
  async createLike(other: Collection<StoredEvent>): Promise<void> {
    const indexes = await other.listIndexes().toArray();
    await this.collection.createIndexes(
      indexes.map(({ key, name, v: _, ...options }) => ({ key, name, ...options })),
    );
  }

  /** Stores events as durably as a capture. */
  async insert(events: StoredEvent[]): Promise<void> {
    const writeConcern = { w: 'majority', journal: true } as const;
    await this.collection.insertMany(events, { ordered: false, writeConcern });
  }

  /**
   * Stores events as fast as the server accepts them, for the data that exist before a row begins.
   */
  async load(events: Iterable<StoredEvent>): Promise<void> {
    const waiting = events[Symbol.iterator]();
    const loadBatches = async () => {
      for (;;) {
        const batch = [...take(waiting, batchSize)];
        if (batch.length === 0) return;
        await this.collection.insertMany(batch, {
          ordered: false,
          writeConcern: { w: 1, journal: false },
        });
      }
    };
    await Promise.all([loadBatches(), loadBatches()]);
  }

  /**
   * The disk space of an event, once the server has written everything: its document and its
   * indexes.
   */
  async bytesPerEvent(): Promise<{ document: number; indexes: number }> {
    await this.#client.db('admin').command({ fsync: 1 });
    const { count, storageSize, totalIndexSize } = await this.#db.command({
      collStats: collectionName,
    });
    return { document: storageSize / count, indexes: totalIndexSize / count };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#client.close();
  }
}

/** The disk space of an event, and the bytes that an SDK sends for it, as text. */
export async function bytesText(events: BareEvents): Promise<string> {
  const { document, indexes } = await events.bytesPerEvent();
  const raw = webEvents(samplesOfJson);
  const sent = raw.reduce((sum, event) => sum + jsonBytes(event), 0) / raw.length;
  const ratio = ((document + indexes) / sent).toFixed(2);
  return `${document.toFixed(0)} + ${indexes.toFixed(0)} bytes of document and indexes on disk for ${sent.toFixed(0)} of JSON (${ratio}×)`;
}

/** Inserts copies of samples, in batches, into projects in turn. */
export function bareInserts(
  bare: BareEvents,
  samples: readonly StoredEvent[],
  projectIds: readonly string[],
  { batchSize, clients }: { batchSize: number; clients: number },
): Load {
  let next = 0;
  return {
    clients,
    operation: async () => {
      const turn = next++;
      const from = (turn * batchSize) % samples.length;
      const projectId = projectIds[turn % projectIds.length] ?? '';
      await bare.insert(
        samples.slice(from, from + batchSize).map((sample) => copyOf(sample, projectId)),
      );
    },
  };
}

function* take<T>(values: Iterator<T>, count: number): Generator<T> {
  for (let taken = 0; taken < count; taken++) {
    const { done, value } = values.next();
    if (done) return;
    yield value;
  }
}
