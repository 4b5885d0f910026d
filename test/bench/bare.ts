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

/** As many connections as a service has; majority, like all that services do. */
const options: MongoClientOptions = {
  maxPoolSize: 100,
  readConcern: { level: 'majority' },
  writeConcern: { w: 'majority' },
};

type Any = Collection<Document & { _id: string }>;
type Statement = (session: ClientSession) => Promise<unknown>;

/**
 * A document that a bare transaction changes, of which it adds a copy, or swaps one: removes the
 * copy that is there and adds another.
 */
export type BareWrite = { kind: 'change' | 'add' | 'swap'; collection: string; sample: Document };

/** What numbering writes: samples of the log's counter, of an event with its number, and the outbox. */
export type BareNumbering = { counter: Document; event: Document; outbox: string };

/** MongoDB without anything of ours: what the floors are made of. */
export class Bare implements AsyncDisposable {
  readonly #client: MongoClient;
  readonly #db: Db;

  private constructor(client: MongoClient, database: string) {
    this.#client = client;
    this.#db = client.db(database);
  }

  /** Works in a database of its own. */
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
   * A bare numbering transaction, of one group: takes the first document of the outbox (which a
   * transaction before must have added), changes the counter, adds the event, removes the group.
   */
  async numbering({ counter, event, outbox }: BareNumbering): Promise<Operation> {
    const groups = await this.#collection(outbox);
    const count = await this.#statement({ kind: 'change', collection: 'log', sample: counter });
    const number = await this.#statement({ kind: 'add', collection: 'events', sample: event });
    return this.#transaction(async (session) => {
      const group = await groups.findOne({}, { session, sort: { _id: 1 } });
      if (group === null) throw new Error('there is nothing to be numbered');
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
    // Made beforehand: a transaction that makes a collection conflicts with all others.
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
