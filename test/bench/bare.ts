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

/** A document that a bare transaction changes, or of which it adds a copy. */
export type BareWrite = { kind: 'change' | 'add'; collection: string; sample: Document };

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

  /** One linearizable read of one document of the sample's size, by its id. */
  async read(collection: string, sample: Document): Promise<Operation> {
    const documents = await this.#collection(collection);
    const _id = await addCopy(documents, sample);
    return () => documents.findOne({ _id }, { readConcern: { level: 'linearizable' } });
  }

  /** One multi-document majority transaction: a statement for each document, one after another. */
  async transaction(writes: readonly BareWrite[]): Promise<Operation> {
    const statements = await Promise.all(writes.map((write) => this.#statement(write)));
    return async () => {
      const session = this.#client.startSession();
      try {
        session.startTransaction({
          readConcern: { level: 'snapshot' },
          writeConcern: { w: 'majority' },
        });
        for (const statement of statements) await statement(session);
        await session.commitTransaction();
      } finally {
        await session.endSession();
      }
    };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#client.close();
  }

  async #statement({ kind, collection, sample }: BareWrite) {
    const documents = await this.#collection(collection);
    if (kind === 'add') {
      return (session: ClientSession) => addCopy(documents, sample, session);
    }
    const _id = await addCopy(documents, sample);
    return (session: ClientSession) =>
      documents.updateOne(
        { _id },
        { $inc: { bareRevision: 1 }, $set: { bareTime: new Date() } },
        { session },
      );
  }

  async #collection(name: string): Promise<Any> {
    // Made beforehand: a transaction that makes a collection conflicts with all others.
    const known = await this.#db.listCollections({ name }, { nameOnly: true }).toArray();
    if (known.length === 0) await this.#db.createCollection(name).catch(() => {});
    return this.#db.collection(name);
  }
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
