import { race } from '@silo/runtime/deadline.ts';
import { redactText } from '@silo/runtime/redact.ts';
import type { Db, MongoClient, MongoClientOptions } from 'mongodb';
import { createClient } from './create-client.ts';
import { fromMongo } from './from-mongo.ts';
import './refuse-wide-integers.ts';

/** Nothing waits for a server for longer; a call's own deadline may end its waiting before. */
const serverSelectionTimeoutMs = 5_000;
const connectTimeoutMs = 5_000;
const waitQueueTimeoutMs = 5_000;
const socketTimeoutMs = 15_000;
const poolSizeMax = 100;

/** The URL cannot be used: trying it again does not help. */
export class MongoUrlError extends Error {}

/** An open connection pool and the service's own database. */
export type MongoConnection = AsyncDisposable & { client: MongoClient; db: Db };

/**
 * Connects to the replica set that `url` names: majority writes and reads, every operation bounded.
 * BSON binaries come back as Buffers; undefined fields are not stored, integers that do not fit
 * into 64 bits refused. Refuses with DEPENDENCY_UNAVAILABLE where no primary answers in 5 s, or the
 * password is refused, and with MongoUrlError where the URL cannot be read.
 */
export async function connectMongo(options: {
  url: string;
  database: string;
  /** Names this process in the server's log. */
  appName: string;
  signal?: AbortSignal | undefined;
}): Promise<MongoConnection> {
  const client = openClient(options.url, {
    appName: options.appName,
    serverSelectionTimeoutMS: serverSelectionTimeoutMs,
    connectTimeoutMS: connectTimeoutMs,
    socketTimeoutMS: socketTimeoutMs,
    waitQueueTimeoutMS: waitQueueTimeoutMs,
    maxPoolSize: poolSizeMax,
    readPreference: 'primary',
    readConcern: { level: 'majority' },
    writeConcern: { w: 'majority', journal: true },
    retryReads: true,
    retryWrites: true,
    promoteBuffers: true,
    ignoreUndefined: true,
  });
  const close = () => client.close();
  try {
    const connected = client.connect();
    await (options.signal ? race(connected, options.signal) : connected);
  } catch (error) {
    await close().catch(() => {}); // the first failure is more useful
    throw fromMongo(error);
  }
  return { client, db: client.db(options.database), [Symbol.asyncDispose]: close };
}

function openClient(url: string, options: MongoClientOptions): MongoClient {
  try {
    return createClient(url, options);
  } catch (error) {
    // The driver's message may quote all of the URL.
    const reason = redactText(error instanceof Error ? error.message : String(error));
    throw new MongoUrlError(`the URL of MongoDB cannot be used: ${reason}`);
  }
}
