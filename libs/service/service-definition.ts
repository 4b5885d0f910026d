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

/** The parts from which every service builds itself. */
export type ServiceKit = {
  config: ServiceConfig;
  client: MongoClient;
  /** The service's own database; no other service reads it. */
  db: Db;
  eventLog: EventLog;
  /** The access checks. */
  access: Access;
  /** Registry of guard leases; provides the revocation barrier. */
  registry: RevocationBarrier;
  /** Waits until no guard accepts the access that a change has ended. */
  propagate: Propagate;
  /** Set in the service that keeps the registry. */
  localRegistry: LocalRegistry | undefined;
  /** Internal clients of the other services. */
  peers: Peers;
  /** Clients of project in the other regions, by region. */
  regions: Regions;
  /** Makes the service's saga runner, and keeps resuming sagas until the process stops. */
  createSagas(definitions: readonly SagaDefinition<never, never>[]): Sagas;
  /**
   * Resolves when something is found at the place, or after a while, or with the signal. An idle
   * process makes no additional statement for it.
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
    /** The registry for a client with a certificate of this identity. */
    for(identity: string): LeaseClient;
    /** Resolves when no guard holds a lease, or after a while. */
    untilEmpty(withinMs: number): Promise<void>;
    /** NATS messages ignored since the start because they were not authentic, by reason. */
    readonly ignored: Rejections;
  };

/** The parts of a service that the start needs. */
export type ServiceDefinition = {
  name: ServiceName;
  /**
   * Migrations of the service's own collections, in order; they run after those of its event log
   * and its sagas.
   */
  migrations: readonly Migration[];
  /** The facts that this service owns, each by a linearizable read of one document. */
  factReader(db: Db): Partial<FactReader>;
  /** Set in the service that keeps the registry: opens this replica of it. */
  openRegistry?(
    kit: Pick<ServiceKit, 'client' | 'db' | 'config' | 'log' | 'signal'> &
      Pick<GuardLinks, 'nats' | 'logs'>,
  ): LocalRegistry;
  build(kit: ServiceKit): ServiceParts;
};

/** A server of a service in addition to its two ports, such as HTTP. */
export type OtherPort = AsyncDisposable & {
  /** Sets whether MongoDB responds. */
  setServing(isServing: boolean): void;
  /** Refuses new requests, and resolves when the admitted ones have ended. */
  drain(): Promise<void>;
};

/** What a service serves and runs. */
type ServiceParts = {
  public: Mounted[];
  internal: Mounted[];
  /** Loops that run until the signal, in addition to the RPCs. */
  loops?: ((signal: AbortSignal) => Promise<void>)[];
  /** Whether the process may relay the service's events to NATS; true by default. */
  relays?: boolean;
  /** Opens the server in addition to the two ports. */
  openOther?: ((context: { metrics: Metrics }) => Promise<OtherPort>) | undefined;
  /** Finds keys that ended themselves, which may repeat the request that ended them. */
  findEndedKey?: FindEndedKey;
  /** Receives each project token that is refused; must be quick and do no I/O. */
  onTokenRefused?: OnTokenRefused;
};
