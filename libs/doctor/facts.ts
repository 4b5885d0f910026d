/** What was seen, or why nothing could be. */
export type Seen<T> = { seen: T } | { unseen: string };

/**
 * By how much a clock differs from that of this machine, in ms: somewhere between the two, because
 * an answer takes time and some clocks show whole seconds.
 */
export type Offset = { minMs: number; maxMs: number };

/** A certificate. */
export type CertificateFacts = { holder: string; expireTime: Date };

/** One process of a service, as its internal port shows it. */
export type ProcessFacts = {
  service: string;
  /** `host:port`. */
  address: string;
  /** Of each name: whether it is SERVING. */
  health: Readonly<Record<string, boolean>>;
  clock: Offset | undefined;
};

/** An index that a service needs. */
type IndexFacts = { collection: string; index: string };

/** Sagas of one kind that are in one state for longer than a while. */
type SagaFacts = { kind: string; state: string; count: number; oldestSeconds: number };

/** A migration to this region that was given up, and why. */
type MigrationFacts = { id: string; failure: string };

/** The database of one service. */
export type DatabaseFacts = {
  service: string;
  /** False where no service has ever set it up. */
  isSetUp: boolean;
  missingIndexes: readonly IndexFacts[];
  openSagas: readonly SagaFacts[];
  failedMigrations: readonly MigrationFacts[];
  /** For how long the oldest event has no sequence yet; 0 where none waits. */
  unsequencedSeconds: number;
  /** For how long the oldest event waits that NATS has not acknowledged; 0 where none does. */
  unpublishedSeconds: number;
  /** How many these are. */
  unpublishedCount: number;
};

/** A member of a replica set, and its state, such as `SECONDARY`. */
export type MemberFacts = { name: string; state: string };

/** The servers. Undefined where the user lacks the right to see it. */
export type MongodbFacts = {
  version: string;
  /** Whether anybody can read without a user. */
  isOpen: boolean;
  isReplicaSet: boolean;
  /** As one of them sees the others; empty behind a mongos, and of a server in no set. */
  members: readonly MemberFacts[] | undefined;
  transactionLifetimeSeconds: number | undefined;
  /** From which duration on a command is logged, documents included. */
  slowMs: number | undefined;
  /** Whether it redacts what it logs; the Enterprise edition can. */
  redactsLog: boolean;
  clock: Offset | undefined;
};

/** A field of the stream's configuration that is not what services set. */
type DriftFacts = { field: string; present: string; wanted: string };

/** A durable consumer of the stream. */
export type ConsumerFacts = { name: string; pending: number };

export type NatsFacts = {
  version: string;
  /** Whether anybody can connect without a user. */
  isOpen: boolean;
  payloadMaxBytes: number;
  stream: { drift: readonly DriftFacts[]; clock: Offset | undefined } | undefined;
  /** Undefined where the user lacks the right to list them. */
  consumers: readonly ConsumerFacts[] | undefined;
};

/** A deployment at one time, as an operator's machine sees it. */
export type Facts = {
  time: Date;
  processes: readonly { service: string; address: string; process: Seen<ProcessFacts> }[];
  certificates: readonly CertificateFacts[];
  mongodb: Seen<MongodbFacts>;
  databases: readonly { service: string; database: Seen<DatabaseFacts> }[];
  nats: Seen<NatsFacts>;
  /** Project in each other region of REGION_ADDRESSES: whether it answers, over TLS that both trust. */
  regions: readonly { region: string; address: string; answer: Seen<'answers'> }[];
};
