/** What was read, or why it could not be read. */
export type Seen<T> = { seen: T } | { unseen: string };

/**
 * The difference of a clock from the clock of this machine, in ms. It lies between these two
 * values, because an answer takes time and some clocks show whole seconds.
 */
export type Offset = { minMs: number; maxMs: number };

/** A certificate. */
export type CertificateFacts = { holder: string; expireTime: Date };

/** The state of one process of a service, read at its internal port. */
export type ProcessFacts = {
  service: string;
  /** `host:port`. */
  address: string;
  /** Whether each name is SERVING. */
  health: Readonly<Record<string, boolean>>;
  clock: Offset | undefined;
};

/** An index that a service needs. */
type IndexFacts = { collection: string; index: string };

/** The number of sagas of one kind that have been in one state for too long. */
type SagaFacts = { kind: string; state: string; count: number; oldestSeconds: number };

/** A failed migration to this region, and the reason. */
type MigrationFacts = { id: string; failure: string };

/** The database of one service. */
export type DatabaseFacts = {
  service: string;
  /** False if no service has ever set it up. */
  isSetUp: boolean;
  missingIndexes: readonly IndexFacts[];
  openSagas: readonly SagaFacts[];
  failedMigrations: readonly MigrationFacts[];
  /** The time that the oldest unsequenced event has waited; 0 if there is none. */
  unsequencedSeconds: number;
  /**
   * The time that the oldest event without acknowledgement by NATS has waited; 0 if there is none.
   */
  unpublishedSeconds: number;
  /** The number of events that NATS has not acknowledged. */
  unpublishedCount: number;
};

/** A member of a replica set, and its state, such as `SECONDARY`. */
export type MemberFacts = { name: string; state: string };

/** The MongoDB servers. Undefined values could not be read because the user lacks the right. */
export type MongodbFacts = {
  version: string;
  /** Whether a client without a user can read. */
  isOpen: boolean;
  isReplicaSet: boolean;
  /** The members as one of them reports them; empty behind a mongos or for a server in no set. */
  members: readonly MemberFacts[] | undefined;
  transactionLifetimeSeconds: number | undefined;
  /** Commands that take longer are logged, with their documents. */
  slowMs: number | undefined;
  /** Whether mongod redacts its log, which only the Enterprise edition can. */
  redactsLog: boolean;
  clock: Offset | undefined;
};

/** A field of the stream's configuration that differs from what services set. */
type DriftFacts = { field: string; present: string; wanted: string };

/** A durable consumer of the stream. */
export type ConsumerFacts = { name: string; pending: number };

export type NatsFacts = {
  version: string;
  /** Whether a client without a user can connect. */
  isOpen: boolean;
  payloadMaxBytes: number;
  stream: { drift: readonly DriftFacts[]; clock: Offset | undefined } | undefined;
  /** Undefined if the user lacks the right to list them. */
  consumers: readonly ConsumerFacts[] | undefined;
};

/** The state of a deployment at one time, as seen from the operator's machine. */
export type Facts = {
  time: Date;
  processes: readonly { service: string; address: string; process: Seen<ProcessFacts> }[];
  certificates: readonly CertificateFacts[];
  mongodb: Seen<MongodbFacts>;
  databases: readonly { service: string; database: Seen<DatabaseFacts> }[];
  nats: Seen<NatsFacts>;
  /**
   * Whether project in each other region of REGION_ADDRESSES answers, over TLS that both sides
   * trust.
   */
  regions: readonly { region: string; address: string; answer: Seen<'answers'> }[];
};
