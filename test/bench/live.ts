import type { Silo } from '@silo/embedded/silo.ts';
import { waitUntil } from '@silo/embedded/wait-until.ts';
import type { ServiceName } from '@silo/service/config.ts';
import { type Collection, type Document, type Filter, MongoClient } from 'mongodb';
import type { BareSequencing } from './bare.ts';

type Stored = { [field: string]: unknown; _id: string | Uint8Array };

/** The stored documents of a running deployment, the samples for the floors' documents. */
export class Live implements AsyncDisposable {
  readonly #client: MongoClient;

  constructor({ endpoints }: Pick<Silo, 'endpoints'>) {
    this.#client = new MongoClient(endpoints.mongodb);
  }

  collection<T extends Document = Stored>(service: ServiceName, name: string): Collection<T> {
    return this.#client.db(`silo_${service}`).collection<T>(name);
  }

  /** The one document that matches, once it exists. */
  async find(service: ServiceName, name: string, filter: Filter<Stored>): Promise<Document> {
    return await waitUntil(
      `a document in ${service}.${name}`,
      async () => {
        const found = await this.collection(service, name).findOne(filter);
        if (found === null) throw new Error(`none matches ${Object.keys(filter).join(', ')}`);
        return found;
      },
      { withinMs: 10_000 },
    );
  }

  /** The outbox's document of one group of events, as it was before it was sequenced. */
  async outboxGroup(
    service: ServiceName,
    events: readonly string[],
    subject: string,
  ): Promise<Document> {
    const sequenced = await Promise.all(
      events.map((event) => this.#event(service, event, subject)),
    );
    const { time, actor, correlationId } = sequenced[0] ?? {};
    return {
      ...{ time, actor, correlationId },
      events: sequenced.map(({ id, event, body }) => ({ id, event, subject, body })),
    };
  }

  /** The writes of sequencing such an event. */
  async sequencing(service: ServiceName, event: string, subject: string): Promise<BareSequencing> {
    return {
      counter: await this.find(service, 'log', {}),
      event: await this.#event(service, event, subject),
      outbox: 'outbox',
    };
  }

  #event(service: ServiceName, event: string, subject: string): Promise<Document> {
    return this.find(service, 'events', { event, subject });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#client.close();
  }
}
