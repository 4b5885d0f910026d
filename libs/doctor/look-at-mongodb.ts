import { readFile } from 'node:fs/promises';
import { RelayPosition } from '@silo/events/relay-position.ts';
import { logCollections } from '@silo/log/collections.ts';
import { connectMongo, type MongoConnection, type MongoSource } from '@silo/mongo/connect.ts';
import { missingIndexes } from '@silo/mongo/indexes.ts';
import { MigrationState } from '@silo/protos/gen/silo/project/v1/migration.ts';
import { redactText } from '@silo/runtime/redact.ts';
import { openSagas } from '@silo/saga/saga-records.ts';
import { serviceNames } from '@silo/service/config.ts';
import { type Db, type Document, MongoClient, MongoServerError } from 'mongodb';
import { splitAddress } from './addresses.ts';
import type { Deployment } from './deployment.ts';
import type {
  CertificateFacts,
  DatabaseFacts,
  Facts,
  MemberFacts,
  MongodbFacts,
  Seen,
} from './facts.ts';
import { offsetOf } from './offset.ts';
import { certificatesOf } from './server-certificates.ts';

const timeMaxMs = 5_000;
/** At most this number of failed migrations is named. */
const failedMax = 10;
const bounded = { maxTimeMS: timeMaxMs } as const;

/** Examines the servers with their settings, and the database of each service. */
export async function lookAtMongodb(
  source: Deployment['mongodb'],
  now: () => number,
): Promise<Pick<Facts, 'mongodb' | 'databases' | 'certificates'>> {
  const looked = await lookAtSet(source, now);
  const members = 'seen' in looked.mongodb ? (looked.mongodb.seen.members ?? []) : [];
  return { ...looked, certificates: await certificatesOfSet(source, members) };
}

async function lookAtSet(
  source: Deployment['mongodb'],
  now: () => number,
): Promise<Pick<Facts, 'mongodb' | 'databases'>> {
  let connection: MongoConnection;
  try {
    connection = await connectMongo({ ...source, database: 'admin', appName: 'silo-doctor' });
  } catch (error) {
    return { mongodb: { unseen: `cannot be used: ${reasonOf(error)}` }, databases: [] };
  }
  await using opened = connection;
  const { client, db: admin } = opened;
  const databases = serviceNames.map(async (service) => {
    const db = client.db(`${source.databasePrefix}_${service}`);
    return { service, database: await seenOf(() => lookAtDatabase(service, db)) };
  });
  return {
    mongodb: await seenOf(() => lookAtServer(admin, source, now)),
    databases: await Promise.all(databases),
  };
}

/**
 * Certificates of all hosts in the URL and of all members, because the URL may name only one of
 * them.
 */
async function certificatesOfSet(
  source: MongoSource,
  members: readonly MemberFacts[],
): Promise<CertificateFacts[]> {
  try {
    const { hosts, tls } = new MongoClient(await urlOf(source)).options;
    if (!tls) return [];
    const names = new Set([...hosts.map(String), ...members.map(({ name }) => name)]);
    return await certificatesOf(
      [...names].map((name) => ({ kind: 'MongoDB', ...splitAddress(name, 27_017) })),
    );
  } catch {
    // A URL that cannot be used is reported as a finding of its own.
    return [];
  }
}

async function lookAtServer(
  admin: Db,
  source: Deployment['mongodb'],
  now: () => number,
): Promise<MongodbFacts> {
  const sentMs = now();
  const hello = await admin.command({ hello: 1, ...bounded });
  const receivedMs = now();
  const { version } = await admin.command({ buildInfo: 1, ...bounded });
  const name = 'transactionLifetimeLimitSeconds';
  const parameter = await ifAllowed(admin.command({ getParameter: 1, [name]: 1, ...bounded }));
  // Reads the profiling level: -1 changes nothing, and needs only the right to read
  // `system.profile`.
  const profile = await ifAllowed(admin.command({ profile: -1, ...bounded }));
  return {
    version,
    isOpen: await isOpen(source),
    isReplicaSet: hello.setName !== undefined || hello.msg === 'isdbgrid',
    members: hello.setName === undefined ? [] : await membersOf(admin),
    transactionLifetimeSeconds: parameter?.[name],
    slowMs: profile?.slowms,
    redactsLog: await redactsLog(admin),
    clock: offsetOf(new Date(hello.localTime).getTime(), { sentMs, receivedMs }),
  };
}

async function membersOf(admin: Db): Promise<MemberFacts[] | undefined> {
  const status = await ifAllowed(admin.command({ replSetGetStatus: 1, ...bounded }));
  return status?.members.map(({ name, stateStr: state }: Document) => ({ name, state }));
}

/** The Community edition has no such parameter, and returns an error. */
async function redactsLog(admin: Db): Promise<boolean> {
  const read = admin.command({ getParameter: 1, redactClientLogData: 1, ...bounded });
  const { redactClientLogData } = await read.catch(() => ({ redactClientLogData: false }));
  return redactClientLogData === true;
}

/** Whether a client without a user can read. */
async function isOpen(source: MongoSource): Promise<boolean> {
  const [address = '', query = ''] = (await urlOf(source)).replace(/\/\/[^@/]*@/, '//').split('?');
  const options = new URLSearchParams(query);
  for (const name of ['authSource', 'authMechanism', 'authMechanismProperties']) {
    options.delete(name);
  }
  const anonymous = new MongoClient(`${address}?${options}`, {
    ...{ serverSelectionTimeoutMS: timeMaxMs, connectTimeoutMS: timeMaxMs },
    ...{ socketTimeoutMS: timeMaxMs, maxPoolSize: 1, appName: 'silo-doctor' },
  });
  try {
    await anonymous.db('admin').command({ listDatabases: 1, nameOnly: true, ...bounded });
    return true;
  } catch {
    return false;
  } finally {
    await anonymous.close();
  }
}

async function urlOf({ url = '', urlFile }: MongoSource): Promise<string> {
  return urlFile === undefined ? url : (await readFile(urlFile, 'utf8')).trim();
}

async function lookAtDatabase(service: string, db: Db): Promise<DatabaseFacts> {
  const { log, outbox, events } = logCollections(db);
  const head = await log.findOne({ _id: 'log' }, bounded);
  // Read after the head of the log: otherwise an event that is published in between would count as
  // waiting.
  const published = await new RelayPosition(db, 0).read();
  const age = { $project: { _id: 0, ms: { $subtract: ['$$NOW', '$time'] } } };
  const [unsequenced] = await outbox
    .aggregate<{ ms: number }>([{ $sort: { _id: 1 } }, { $limit: 1 }, age], bounded)
    .toArray();
  const first = { $gt: published, $lte: head?.sequence ?? 0 };
  const [unpublished] = await events
    .aggregate<{ ms: number }>(
      [{ $match: { _id: first } }, { $sort: { _id: 1 } }, { $limit: 1 }, age],
      bounded,
    )
    .toArray();
  const sagas = await openSagas(db);
  const failed = await failedMigrations(db);
  return {
    service,
    isSetUp: head !== null,
    missingIndexes: await missingIndexes(db),
    openSagas: sagas.map(({ oldestMs, ...saga }) => ({ ...saga, oldestSeconds: oldestMs / 1_000 })),
    failedMigrations: failed.map(({ _id: id, failure = '' }) => ({ id, failure })),
    unsequencedSeconds: (unsequenced?.ms ?? 0) / 1_000,
    unpublishedSeconds: (unpublished?.ms ?? 0) / 1_000,
    unpublishedCount: Math.max(0, (head?.sequence ?? 0) - published),
  };
}

/** The failed migrations, which only project has. */
async function failedMigrations(db: Db): Promise<{ _id: string; failure?: string }[]> {
  const state = MigrationState.MIGRATION_STATE_FAILED;
  const failed = { isOpen: true, side: 'destination', state };
  const records = db.collection<{ _id: string; failure?: string }>('project_migrations');
  const options = { ...bounded, projection: { failure: 1 }, limit: failedMax };
  return await records.find(failed, options).toArray();
}

const unauthorized = 13;

/** Undefined if the user lacks the right. */
async function ifAllowed<T>(command: Promise<T>): Promise<T | undefined> {
  try {
    return await command;
  } catch (error) {
    if (error instanceof MongoServerError && error.code === unauthorized) return undefined;
    throw error;
  }
}

async function seenOf<T>(look: () => Promise<T>): Promise<Seen<T>> {
  try {
    return { seen: await look() };
  } catch (error) {
    return { unseen: `cannot be examined: ${reasonOf(error)}` };
  }
}

/** The driver's reason, without what it may quote: a URL or, for a missing right, a document. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (cause instanceof MongoServerError && cause.code === unauthorized) {
    return 'the user lacks the right';
  }
  return redactText(cause instanceof Error ? cause.message : String(cause));
}
