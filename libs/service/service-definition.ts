import type { Access, FactReader } from '@silo/access/access.ts';
import type { Rejections } from '@silo/events/authentication.ts';
import type { GuardLinks } from '@silo/guard/links.ts';
import type { LeaseClient, Registry } from '@silo/guard/registry-client.ts';
import type { EventLog } from '@silo/log/event-log.ts';
import type { Migration } from '@silo/mongo/migrations.ts';
import type { Place } from '@silo/mongo/pulse.ts';
import type { OnTokenRefused } from '@silo/rpc/admit.ts';
import type { Mounted } from '@silo/rpc/mount.ts';
import type { Propagate } from '@silo/rpc/propagation.ts';
import type { FindEndedKey } from '@silo/rpc/repeat-access.ts';
import type { Clock } from '@silo/runtime/clock.ts';
import type { Log } from '@silo/runtime/log.ts';
import type { Metrics } from '@silo/runtime/metrics.ts';
import type { Progress } from '@silo/runtime/progress.ts';
import type { SagaDefinition } from '@silo/saga/definition.ts';
import type { Sagas } from '@silo/saga/sagas.ts';
import type { Db, MongoClient } from 'mongodb';
import type { ServiceConfig, ServiceName } from './config.ts';
import type { Peers } from './peers.ts';
import type { Regions } from './regions.ts';

/** What every service is given to build itself from. */
export type ServiceKit = {
  config: ServiceConfig;
  client: MongoClient;
  /** The service's own database; no other service reads it. */
  db: Db;
  eventLog: EventLog;
  /** The access checks. */
  access: Access;
  /** Where guards hold their leases, and where it is waited for them. */
  registry: RevocationBarrier;
  /** Waits until no guard accepts what a change has ended. */
  propagate: Propagate;
  /** Of the service that keeps the registry. */
  localRegistry: LocalRegistry | undefined;
  /** Internal clients of the other services. */
  peers: Peers;
  /** Clients of project in the other regions, by region. */
  regions: Regions;
  /** Makes the runner of the service's sagas, and keeps it resuming until the process stops. */
  createSagas(definitions: readonly SagaDefinition<never, never>[]): Sagas;
  /**
   * Resolves when something is found there, or after a while, or with the signal. An idle process makes
   * no statement of its own for it.
   */
  untilFound(place: Place, signal: AbortSignal): Promise<void>;
  /** The progress of a log consumer, for health (as `silo.<consumer>`) and metrics. */
  watchProgress(consumer: string): Progress;
  /** The metrics of the process. */
  metrics: Metrics;
  clock: Clock;
  log: Log;
  /** Ends with the process. */
  signal: AbortSignal;
};

/** The requests of an event source to the registry. */
type RevocationBarrier = Pick<Registry, 'raiseRequirement' | 'awaitBarrier'>;

/** A replica of the registry in this process. */
export type LocalRegistry = RevocationBarrier &
  Disposable & {
    /** The registry as the holder of a certificate of this identity may use it. */
    for(identity: string): LeaseClient;
    /** Resolves when no guard holds a lease, or after a while. */
    untilEmpty(withinMs: number): Promise<void>;
    /** NATS messages ignored since it began because they were not authentic, by reason. */
    readonly ignored: Rejections;
  };

/** The parts of a service that the start needs. */
export type ServiceDefinition = {
  name: ServiceName;
  /** What its own collections need, in order; after what its event log and its sagas need. */
  migrations: readonly Migration[];
  /** The facts that this service owns, each by a linearizable read of one document. */
  factReader(db: Db): Partial<FactReader>;
  /** Of the service that keeps the registry: this replica of it. */
  openRegistry?(
    kit: Pick<ServiceKit, 'client' | 'db' | 'config' | 'log' | 'signal'> &
      Pick<GuardLinks, 'nats' | 'logs'>,
  ): LocalRegistry;
  build(kit: ServiceKit): ServiceParts;
};

/** What a service serves beside its two ports, such as HTTP. */
export type OtherPort = AsyncDisposable & {
  /** Sets whether MongoDB responds. */
  setServing(isServing: boolean): void;
  /** Refuses what is new, and resolves when what was admitted has ended. */
  drain(): Promise<void>;
};

/** What a service serves and runs. */
type ServiceParts = {
  public: Mounted[];
  internal: Mounted[];
  /** What runs until the signal, beside the RPCs. */
  loops?: ((signal: AbortSignal) => Promise<void>)[];
  /** Whether the process may relay the service's events to NATS; true by default. */
  relays?: boolean;
  /** Opens what is served beside the two ports. */
  openOther?: ((context: { metrics: Metrics }) => Promise<OtherPort>) | undefined;
  /** Finds keys that ended themselves: they may repeat the request by which they did. */
  findEndedKey?: FindEndedKey;
  /** Receives each project token that is refused; must be quick and do no I/O. */
  onTokenRefused?: OnTokenRefused;
};
