import type { SubscriptionDocument } from '@silo/billing-service/store/documents.ts';
import type { EventDocument, LogDocument, OutboxGroup } from '@silo/log/documents.ts';
import type {
  AccountDocument,
  InviteDocument,
  MembershipDocument,
  OrganizationDocument,
} from '@silo/org-service/store/documents.ts';
import type {
  MigrationDocument,
  MoveDocument,
  ProjectDocument,
  SlotsDocument,
} from '@silo/project-service/store/documents.ts';
import type { SagaRecord } from '@silo/saga/definition.ts';
import { type ServiceName, serviceNames } from '@silo/service/config.ts';
import type {
  KeyDocument,
  KeySecretDocument,
  ProjectTokenDocument,
  ProjectDocument as TokenProjectDocument,
} from '@silo/token-service/store/documents.ts';
import { type ClientSession, type Document, type MongoClient, MongoServerError } from 'mongodb';

/** The databases and the event stream of a deployment. */
export type Deployment = {
  mongo: MongoClient;
  databasePrefix: string;
  natsUrl: string;
  natsStream: string;
  natsSubjectPrefix: string;
};

/** One event of a service, sequenced or still in its outbox. */
export type EmittedEvent = {
  /** Such as `project.moved`. */
  name: string;
  /** Undefined if it is not sequenced yet. */
  sequence: number | undefined;
  id: string;
  subject: string;
  time: Date;
  actor: string;
  /** Proto3 JSON. */
  body: string;
};

/** What every service stores. */
export type ServiceLog = {
  service: ServiceName;
  /** The value of the counter. */
  sequence: number;
  /** In the order of the log, then of the outbox. */
  emitted: EmittedEvent[];
  events: EventDocument[];
  outbox: OutboxGroup[];
  sagas: SagaRecord<string, Document>[];
  /** The last sequence that is recorded as acknowledged by the broker. */
  published: number;
  /** Every collection, by name. */
  collections: Map<string, Document[]>;
};

/** All four databases at one time. */
export type Snapshot = {
  logs: Record<ServiceName, ServiceLog>;
  org: {
    accounts: AccountDocument[];
    organizations: OrganizationDocument[];
    memberships: MembershipDocument[];
    invites: InviteDocument[];
  };
  project: {
    projects: ProjectDocument[];
    slots: SlotsDocument[];
    moves: MoveDocument[];
    migrations: MigrationDocument[];
  };
  token: {
    projects: TokenProjectDocument[];
    projectTokens: ProjectTokenDocument[];
    keys: KeyDocument[];
    keySecrets: KeySecretDocument[];
  };
  billing: { subscriptions: SubscriptionDocument[] };
};

// A collection or an index was created since the time of the snapshot; another time will work.
const snapshotUnavailable = 246;
const attemptsMax = 20;

/** Reads everything at one time: one snapshot session spans the databases of a replica set. */
export async function readSnapshot(deployment: Deployment): Promise<Snapshot> {
  for (let attempt = 1; ; attempt++) {
    const session = deployment.mongo.startSession({ snapshot: true });
    try {
      return await readIn(session, deployment);
    } catch (error) {
      const again = error instanceof MongoServerError && error.code === snapshotUnavailable;
      if (!again || attempt >= attemptsMax) throw error;
    } finally {
      await session.endSession();
    }
  }
}

async function readIn(session: ClientSession, deployment: Deployment): Promise<Snapshot> {
  const read: [ServiceName, ServiceLog][] = [];
  for (const name of serviceNames) read.push([name, await readService(session, deployment, name)]);
  const logs = Object.fromEntries(read) as Record<ServiceName, ServiceLog>;
  const from = <T>(service: ServiceName, collection: string) =>
    (logs[service].collections.get(collection) ?? []) as T[];
  return {
    logs,
    org: {
      accounts: from('org', 'accounts'),
      organizations: from('org', 'organizations'),
      memberships: from('org', 'memberships'),
      invites: from('org', 'invites'),
    },
    project: {
      projects: from('project', 'projects'),
      slots: from('project', 'slots'),
      moves: from('project', 'moves'),
      migrations: from('project', 'project_migrations'),
    },
    token: {
      projects: from('token', 'projects'),
      projectTokens: from('token', 'project_tokens'),
      keys: from('token', 'api_keys'),
      keySecrets: from('token', 'key_secrets'),
    },
    billing: { subscriptions: from('billing', 'subscriptions') },
  };
}

async function readService(
  session: ClientSession,
  { mongo, databasePrefix }: Deployment,
  service: ServiceName,
): Promise<ServiceLog> {
  const db = mongo.db(`${databasePrefix}_${service}`);
  const collections = new Map<string, Document[]>();
  for (const { name } of await db.listCollections({}, { nameOnly: true }).toArray()) {
    const cursor = db.collection(name).find({}, { session, promoteBuffers: true });
    collections.set(name, await cursor.sort({ _id: 1 }).toArray());
  }
  const from = <T>(name: string) => (collections.get(name) ?? []) as T[];
  const events = from<EventDocument>('events');
  const outbox = from<OutboxGroup>('outbox');
  return {
    service,
    sequence: from<LogDocument>('log')[0]?.sequence ?? 0,
    emitted: emittedBy(service, events, outbox),
    events,
    outbox,
    sagas: from<SagaRecord<string, Document>>('sagas'),
    published: from<{ sequence: number }>('relays')[0]?.sequence ?? 0,
    collections,
  };
}

function emittedBy(
  service: ServiceName,
  events: EventDocument[],
  outbox: OutboxGroup[],
): EmittedEvent[] {
  const sequenced = events.map(({ _id: sequence, event, ...rest }) => ({
    ...rest,
    name: `${service}.${event}`,
    sequence,
  }));
  const waiting = outbox.flatMap(({ time, actor, events: group }) =>
    group.map(({ event, ...rest }) => ({
      ...rest,
      name: `${service}.${event}`,
      sequence: undefined,
      time,
      actor,
    })),
  );
  return [...sequenced, ...waiting];
}
