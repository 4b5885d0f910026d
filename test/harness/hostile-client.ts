import { randomBytes } from 'node:crypto';
import { AuthenticatedMessage } from '@silo/protos/gen/silo/events/internal/v1/authenticated_message.ts';
import { ReadEventsResponse } from '@silo/protos/gen/silo/events/internal/v1/event_log_service.ts';
import { Acknowledgement } from '@silo/protos/gen/silo/token/internal/v1/registry_service.ts';
import { forgetOldest } from '@silo/runtime/forget-oldest.ts';
import type { NatsConnection } from 'nats';
import { connectToNats } from './patient-nats.ts';

export const sources = ['org', 'project', 'token'] as const;
type Source = (typeof sources)[number];

/**
 * Number of leases that it remembers, the latest: more than there are guards in a test. A slow
 * machine loses leases all the time, and must not get more work with each.
 */
const leasesMax = 50;

/**
 * A NATS client without a certificate. It reads what guards, sources and the registry publish, and
 * may publish anything on the same subjects.
 */
export class HostileClient implements AsyncDisposable {
  readonly #connection: NatsConnection;
  readonly #subjectPrefix: string;
  /** The last batch of each source, and the last acknowledgement of each lease. */
  readonly #batches = new Map<Source, AuthenticatedMessage>();
  readonly #acknowledgements = new Map<string, AuthenticatedMessage>();
  forged = 0;

  /** `url` is that of a NATS user that may publish on these subjects; only Silo's own users may. */
  static async open(url: string, subjectPrefix: string): Promise<HostileClient> {
    // Otherwise it would take its own forgeries for messages of Silo, and replay no authentic ones.
    const connection = await connectToNats({ url }, { noEcho: true });
    const client = new HostileClient(connection, subjectPrefix);
    await client.#connection.flush();
    return client;
  }

  private constructor(connection: NatsConnection, subjectPrefix: string) {
    this.#connection = connection;
    this.#subjectPrefix = subjectPrefix;
    for (const source of sources) {
      connection.subscribe(this.#batchSubject(source), {
        callback: (_error, { data }) => {
          this.#batches.set(source, AuthenticatedMessage.decode(data));
        },
      });
    }
    connection.subscribe(this.#acknowledgementSubject, {
      callback: (_error, { data }) => {
        const message = AuthenticatedMessage.decode(data);
        this.#acknowledgements.delete(message.keyId); // so that it becomes the newest
        this.#acknowledgements.set(message.keyId, message);
        forgetOldest(this.#acknowledgements, leasesMax);
      },
    });
  }

  /** Number of leases whose acknowledgements it has seen. */
  get leases(): number {
    return this.#acknowledgements.size;
  }

  /** Forges harmless events with the next sequences after the last batch that it has seen. */
  async forgeNextBatch(source: Source, count: number): Promise<void> {
    const seen = this.#batches.get(source);
    if (seen === undefined) return;
    const { head } = ReadEventsResponse.decode(seen.payload);
    if (head !== undefined) await this.forgeBatch(source, head, count);
  }

  /**
   * Forges harmless events with the next sequences after a head, as if a source had broadcast them.
   */
  async forgeBatch(
    source: Source,
    { incarnation, sequence }: { incarnation: string; sequence: number },
    count: number,
  ): Promise<void> {
    const events = Array.from({ length: count }, (_, index) => ({
      sequence: sequence + 1 + index,
      ...{ id: `forged-${index}`, subject: 'key_forged', time: undefined },
      ...{ correlationId: '', actor: '' },
      type: `internal.silo.${source}.${harmlessEvents[source]}.v1`,
      bodyJson: JSON.stringify(harmlessBody(index)),
    }));
    const head = { incarnation, sequence: sequence + count };
    const payload = Buffer.from(ReadEventsResponse.encode({ events, head }).finish());
    const seen = this.#batches.get(source);
    const mac = seen?.mac ?? randomBytes(32);
    const subject = this.#batchSubject(source);
    // Unsigned, with an unknown key, and with the real key's id and the MAC of another message.
    this.#publish(subject, payload);
    this.#publish(subject, enveloped({ keyId: 'forged', payload, mac }));
    this.#publish(subject, enveloped({ keyId: seen?.keyId ?? '', payload, mac }));
    await this.#connection.flush();
  }

  /** Sends every seen acknowledgement again, with its sequences raised. */
  async raiseAcknowledgements(by: number): Promise<void> {
    for (const { keyId, payload, mac } of this.#acknowledgements.values()) {
      const copied = Acknowledgement.decode(payload);
      const positions = copied.positions.map(({ sequence = 0, ...rest }) => {
        return { ...rest, sequence: sequence + by };
      });
      const raised = Buffer.from(Acknowledgement.encode({ ...copied, positions }).finish());
      this.#publish(this.#acknowledgementSubject, raised);
      this.#publish(this.#acknowledgementSubject, enveloped({ keyId, payload: raised, mac }));
    }
    await this.#connection.flush();
  }

  /** Sends every seen message again, unchanged. */
  async replay(): Promise<void> {
    for (const [source, message] of this.#batches) {
      this.#publish(this.#batchSubject(source), enveloped(message));
    }
    for (const message of this.#acknowledgements.values()) {
      this.#publish(this.#acknowledgementSubject, enveloped(message));
    }
    await this.#connection.flush();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connection.close();
  }

  #batchSubject(source: Source): string {
    return `numbered.${this.#subjectPrefix}.${source}`;
  }

  get #acknowledgementSubject(): string {
    return `acknowledged.${this.#subjectPrefix}`;
  }

  #publish(subject: string, bytes: Uint8Array): void {
    this.#connection.publish(subject, bytes);
    this.forged++;
  }
}

const harmlessEvents: Record<Source, string> = {
  org: 'account_updated',
  project: 'slots_changed',
  token: 'key_updated',
};

function harmlessBody(index: number): object {
  return { keyId: `key_forged_${index}` };
}

function enveloped(message: AuthenticatedMessage): Uint8Array {
  return AuthenticatedMessage.encode(message).finish();
}
