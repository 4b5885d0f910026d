import { Server } from '@grpc/grpc-js';
import { subscribeAcknowledgements } from '@silo/events/acknowledgements.ts';
import { type MessageKey, sealMessage } from '@silo/events/authentication.ts';
import { connectNats, type NatsLink } from '@silo/events/connect.ts';
import type { Positions, Source } from '@silo/guard/core/position.ts';
import { fromLogPositions } from '@silo/guard/wire.ts';
import type { Position } from '@silo/log/position.ts';
import {
  EventLogServiceService,
  type LoggedEvent,
  ReadEventsResponse,
} from '@silo/protos/gen/silo/events/internal/v1/event_log_service.ts';
import { FactServiceService as OrgFactService } from '@silo/protos/gen/silo/org/internal/v1/fact_service.ts';
import { FactServiceService as ProjectFactService } from '@silo/protos/gen/silo/project/internal/v1/fact_service.ts';
import { FactServiceService as TokenFactService } from '@silo/protos/gen/silo/token/internal/v1/fact_service.ts';
import { RegistryServiceService } from '@silo/protos/gen/silo/token/internal/v1/registry_service.ts';
import { serverCredentials, type TlsFiles } from '@silo/rpc/tls.ts';
import { silentLogger } from '@silo/runtime/log.ts';
import { ulid } from 'ulid';
import { FakeFacts } from './fake-facts.ts';
import { FakeRegistry } from './fake-registry.ts';
import { FakeSource } from './fake-source.ts';

export type Certificates = { service: TlsFiles; guard: TlsFiles };

/** Short, so that a case ends soon; long enough for a busy machine. */
const numbers = { leaseMs: 10_000, renewMs: 500, driftShare: 0.01 };

/**
 * The parts of a deployment that a guard needs, scripted: three sources, their facts and a registry
 * behind mTLS, and broadcasts on a real NATS server. Records what the guard acknowledges there.
 */
export class Deployment implements AsyncDisposable {
  readonly facts = new FakeFacts();
  readonly registry = new FakeRegistry(numbers);
  readonly sources: Record<Source, FakeSource> = {
    org: new FakeSource('org'),
    project: new FakeSource('project'),
    token: new FakeSource('token'),
  };
  readonly acknowledged: { leaseId: string; positions: Positions; applied: Positions }[] = [];
  readonly environment: Record<string, string> = {};
  readonly subjectPrefix = `conformance-${ulid().toLowerCase()}.v1`;
  readonly #opened = new AsyncDisposableStack();
  #nats: NatsLink | undefined;

  static async start(natsUrl: string, { service, guard }: Certificates): Promise<Deployment> {
    const deployment = new Deployment();
    await deployment.#start(natsUrl, service);
    Object.assign(deployment.environment, {
      ...{ TLS_CA: guard.ca, TLS_CERT: guard.cert, TLS_KEY: guard.key },
      ...{ NATS_URL: natsUrl, NATS_SUBJECT_PREFIX: deployment.subjectPrefix },
    });
    return deployment;
  }

  async #start(natsUrl: string, tls: TlsFiles): Promise<void> {
    const { facts, registry, sources, environment } = this;
    for (const source of ['org', 'project', 'token'] as const) {
      const server = new Server();
      server.addService(EventLogServiceService, sources[source].service);
      if (source === 'org') server.addService(OrgFactService, facts.orgService);
      if (source === 'project') server.addService(ProjectFactService, facts.projectService);
      if (source === 'token') {
        server.addService(TokenFactService, facts.tokenService);
        server.addService(RegistryServiceService, registry.service);
      }
      const port = await new Promise<number>((resolve, reject) => {
        server.bindAsync('127.0.0.1:0', serverCredentials(tls, true), (error, bound) => {
          if (error) reject(error);
          else resolve(bound);
        });
      });
      this.#opened.defer(() => server.forceShutdown());
      environment[`${source.toUpperCase()}_INTERNAL_ADDRESS`] = `127.0.0.1:${port}`;
    }
    const log = silentLogger();
    this.#nats = this.#opened.use(connectNats({ url: natsUrl, name: 'conformance', log }));
    await this.#nats.ready(AbortSignal.timeout(120_000));
    this.#opened.use(
      subscribeAcknowledgements(this.#nats, {
        ...{ subjectPrefix: this.subjectPrefix, log },
        findSecret: (leaseId) => registry.secretOf(leaseId),
        onIgnored: () => {},
        onAcknowledgement: ({ leaseId, positions, applied }) => {
          const received = { positions: fromLogPositions(positions) };
          this.acknowledged.push({ leaseId, ...received, applied: fromLogPositions(applied) });
        },
      }),
    );
  }

  /** Broadcasts a batch, by default an authentic one that ends at the source's head. */
  broadcast(
    source: Source,
    events: LoggedEvent[],
    altered: { head?: Position; key?: MessageKey; sealedFor?: string } = {},
  ): void {
    const subject = `numbered.${this.subjectPrefix}.${source}`;
    const head = altered.head ?? this.sources[source].head;
    const payload = ReadEventsResponse.encode({ events, head }).finish();
    const key = altered.key ?? this.registry.broadcastKey;
    this.#nats?.publish(subject, sealMessage(key, altered.sealedFor ?? subject, payload));
  }

  /** Appends an event to the log and broadcasts it. */
  publish(source: Source, name: string, body: object): void {
    this.broadcast(source, [this.sources[source].append(name, body)]);
  }

  /** Requires a source's head of every renewal. */
  requireHead(source: Source): void {
    this.registry.require({ [source]: this.sources[source].head });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#opened.disposeAsync();
  }
}
