import { join } from 'node:path';
import { redactText } from '@silo/runtime/redact.ts';
import { type Document, MongoClient } from 'mongodb';
import { type Mongod, startMongod } from './mongod.ts';
import type { MongodbAccess } from './mongod-users.ts';
import {
  checkJetStream,
  type NatsAccess,
  type NatsServer,
  startNatsServer,
} from './nats-server.ts';
import type { EventStream } from './nats-users.ts';
import { obtain } from './obtain.ts';
import type { Log } from './processes.ts';

const existingServerTimeoutMs = 10_000;

export interface ServerOptions {
  /** The state directory. */
  directory: string;
  port: number;
  log: Log;
  environment: NodeJS.ProcessEnv;
  signal?: AbortSignal | undefined;
}

/** The directory of an own mongod. */
export function mongodbDirectory(stateDirectory: string): string {
  return join(stateDirectory, 'mongodb');
}

/**
 * Returns how to reach MongoDB. An existing MongoDB is checked, and every user gets its URL;
 * otherwise an own one is started, and passed to `onStarted` as soon as it runs.
 */
export async function openMongodb(
  existing: string | undefined,
  { directory, port, log, environment, signal }: ServerOptions,
  onStarted: (mongod: Mongod) => void,
): Promise<MongodbAccess> {
  if (existing) {
    await requireReplicaSet(existing);
    log('MongoDB: using the existing one at MONGODB_URL');
    return { urlOf: () => existing };
  }
  const { path } = await obtain('mongod', { log, environment, signal });
  const place = mongodbDirectory(directory);
  const started = await startMongod({
    binary: path,
    directory: place,
    databasePrefix: environment.MONGODB_DATABASE_PREFIX || undefined,
    port,
    log,
    signal,
  });
  onStarted(started);
  log(`MongoDB is ready on 127.0.0.1:${started.port}`);
  return started;
}

/** The same for NATS. */
export async function openNats(
  existing: string | undefined,
  { directory, port, log, environment, signal, events }: ServerOptions & { events: EventStream },
  onStarted: (server: NatsServer) => void,
): Promise<NatsAccess> {
  if (existing) {
    await checkJetStream(existing).catch((error: unknown) => {
      throw new Error(`NATS_URL does not answer with JetStream: ${messageOf(error)}`);
    });
    log('NATS: using the existing one at NATS_URL');
    return { urlOf: () => existing, passwordFileOf: () => undefined };
  }
  const { path } = await obtain('nats-server', { log, environment, signal });
  const place = join(directory, 'nats');
  const server = { binary: path, directory: place, port, events, log, signal };
  const started = await startNatsServer(server);
  onStarted(started);
  log(`NATS is ready on 127.0.0.1:${started.port}`);
  return started;
}

async function requireReplicaSet(url: string): Promise<void> {
  const hello = await helloMongodb(url).catch((error: unknown) => {
    throw new Error(`MONGODB_URL does not answer: ${messageOf(error)}`);
  });
  // A mongos reports `isdbgrid`.
  if (!hello.setName && hello.msg !== 'isdbgrid') {
    throw new Error('MONGODB_URL names a server outside a replica set, which has no transactions');
  }
}

async function helloMongodb(url: string): Promise<Document> {
  await using client = new MongoClient(url, { serverSelectionTimeoutMS: existingServerTimeoutMs });
  return await client.db('admin').command({ hello: 1 });
}

/** Some errors quote the URL that they are about. */
function messageOf(error: unknown): string {
  return redactText(error instanceof Error ? error.message : String(error));
}
