import { join } from 'node:path';
import { MongoClient } from 'mongodb';
import { type Mongod, type MongodOptions, startMongod } from './mongod.ts';
import { askJetStream, type NatsServer, startNatsServer } from './nats-server.ts';
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
  mongod?: Pick<MongodOptions, 'cacheSizeGB' | 'enableTestCommands' | 'setParameters'> | undefined;
}

/**
 * Returns the connection string of MongoDB: the existing one after a look at it, or an own one's,
 * which `onStarted` is handed as soon as it runs.
 */
export async function openMongodb(
  existing: string | undefined,
  { directory, port, log, environment, signal, mongod }: ServerOptions,
  onStarted: (mongod: Mongod) => void,
): Promise<string> {
  if (existing) {
    await requireReplicaSet(existing);
    log('MongoDB: the existing one of MONGODB_URL');
    return existing;
  }
  const { path } = await obtain('mongod', { log, environment, signal });
  const place = join(directory, 'mongodb');
  const started = await startMongod({
    ...mongod,
    binary: path,
    directory: place,
    port,
    log,
    signal,
  });
  onStarted(started);
  log(`MongoDB is ready on 127.0.0.1:${started.port}`);
  return started.url;
}

/** The same for NATS. */
export async function openNats(
  existing: string | undefined,
  { directory, port, log, environment, signal }: ServerOptions,
  onStarted: (server: NatsServer) => void,
): Promise<string> {
  if (existing) {
    await askJetStream(existing).catch((error: unknown) => {
      throw new Error(`NATS_URL does not answer with JetStream: ${messageOf(error)}`);
    });
    log('NATS: the existing one of NATS_URL');
    return existing;
  }
  const { path } = await obtain('nats-server', { log, environment, signal });
  const place = join(directory, 'nats');
  const started = await startNatsServer({ binary: path, directory: place, port, log, signal });
  onStarted(started);
  log(`NATS is ready on 127.0.0.1:${started.port}`);
  return started.url;
}

async function requireReplicaSet(url: string): Promise<void> {
  await using client = new MongoClient(url, { serverSelectionTimeoutMS: existingServerTimeoutMs });
  const hello = await client
    .db('admin')
    .command({ hello: 1 })
    .catch((error: unknown) => {
      throw new Error(`MONGODB_URL does not answer: ${messageOf(error)}`);
    });
  // A mongos says `isdbgrid`.
  if (!hello.setName && hello.msg !== 'isdbgrid') {
    throw new Error('MONGODB_URL names a server outside a replica set, which has no transactions');
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
