import { randomUUID } from 'node:crypto';
import {
  type ClientSession,
  type Collection,
  type Db,
  type Document,
  MongoClient,
  type MongoClientOptions,
} from 'mongodb';
import type { Operation } from './measure.ts';

/** As many connections as a service, and majority reads and writes, as in all services. */
const options: MongoClientOptions = {
  maxPoolSize: 100,
  readConcern: { level: 'majority' },
  writeConcern: { w: 'majority' },
};

type Any = Collection<Document & { _id: string }>;
type Statement = (session: ClientSession) => Promise<unknown>;

/**
 * A bare transaction changes a document, adds a copy of it, or swaps one: removes an existing copy
 * and adds another.
 */
export type BareWrite = { kind: 'change' | 'add' | 'swap'; collection: string; sample: Document };

/** The writes of sequencing: samples of the log's counter, of a sequenced event, and the outbox. */
export type BareSequencing = { counter: Document; event: Document; outbox: string };

/** MongoDB without any code of Silo, for the floors. */
export class Bare implements AsyncDisposable {
  readonly #client: MongoClient;
  readonly #db: Db;

  private constructor(client: MongoClient, database: string) {
    this.#client = client;
    this.#db = client.db(database);
  }

  /** Uses its own database. */
  static async open(url: string, database: string): Promise<Bare> {
    const client = new MongoClient(url, options);
    await client.connect();
    return new Bare(client, database);
  }

  /** One majority write: a change of one document of the sample's size, by its id. */
  async write(collection: string, sample: Document): Promise<Operation> {
    const documents = await this.#collection(collection);
    const _id = await addCopy(documents, sample);
    return () => documents.updateOne({ _id }, change());
  }

  /** One multi-document majority transaction: a statement for each document, one after another. */
  async transaction(writes: readonly BareWrite[]): Promise<Operation> {
    const statements = await Promise.all(writes.map((write) => this.#statement(write)));
    return this.#transaction(async (session) => {
      for (const statement of statements) await statement(session);
    });
  }

  /**
   * A bare sequencing transaction for one group: reads the first document of the outbox (which an
   * earlier transaction must have added), changes the counter, adds the event, removes the group.
   */
  async sequencing({ counter, event, outbox }: BareSequencing): Promise<Operation> {
    const groups = await this.#collection(outbox);
    const count = await this.#statement({ kind: 'change', collection: 'log', sample: counter });
    const number = await this.#statement({ kind: 'add', collection: 'events', sample: event });
    return this.#transaction(async (session) => {
      const group = await groups.findOne({}, { session, sort: { _id: 1 } });
      if (group === null) throw new Error('there is nothing to sequence');
      await count(session);
      await number(session);
      await groups.deleteOne({ _id: group._id }, { session });
    });
  }

  #transaction(body: Statement): Operation {
    return async () => {
      const session = this.#client.startSession();
      try {
        session.startTransaction({
          readConcern: { level: 'snapshot' },
          writeConcern: { w: 'majority' },
        });
        await body(session);
        await session.commitTransaction();
      } finally {
        await session.endSession();
      }
    };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#client.close();
  }

  async #statement({ kind, collection, sample }: BareWrite): Promise<Statement> {
    const documents = await this.#collection(collection);
    if (kind === 'add') return (session) => addCopy(documents, sample, session);
    let _id = await addCopy(documents, sample);
    if (kind === 'change') return (session) => documents.updateOne({ _id }, change(), { session });
    return async (session) => {
      await documents.deleteOne({ _id }, { session });
      _id = await addCopy(documents, sample, session);
    };
  }

  async #collection(name: string): Promise<Any> {
    // Created beforehand, because a transaction that creates a collection conflicts with all
    // others.
    const known = await this.#db.listCollections({ name }, { nameOnly: true }).toArray();
    if (known.length === 0) await this.#db.createCollection(name).catch(() => {});
    return this.#db.collection(name);
  }
}

function change() {
  return { $inc: { bareRevision: 1 }, $set: { bareTime: new Date() } };
}

async function addCopy(documents: Any, sample: Document, session?: ClientSession): Promise<string> {
  const _id = randomUUID();
  await documents.insertOne({ ...sample, _id }, session ? { session } : {});
  return _id;
}

/** Operations one after another. */
export function sequence(operations: readonly Operation[]): Operation {
  return async () => {
    for (const operation of operations) await operation();
  };
}
