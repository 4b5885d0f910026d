import { race } from '@silo/runtime/deadline.ts';
import { type Db, MongoClient } from 'mongodb';
import { fromMongo } from './from-mongo.ts';

/** Nothing waits for a server for longer; a call's own deadline may end its waiting before. */
const serverSelectionTimeoutMs = 5_000;
const connectTimeoutMs = 5_000;
const waitQueueTimeoutMs = 5_000;
const socketTimeoutMs = 15_000;
const poolSizeMax = 100;

/** An open connection pool and the service's own database. */
export type MongoConnection = AsyncDisposable & { client: MongoClient; db: Db };

/**
 * Connects to the replica set that `url` names: majority writes and reads, every operation bounded.
 * BSON binaries come back as Buffers; undefined fields are not stored.
 * Refuses with DEPENDENCY_UNAVAILABLE where no primary answers in 5 s.
 */
export async function connectMongo(options: {
  url: string;
  database: string;
  /** Names this process in the server's log. */
  appName: string;
  signal?: AbortSignal | undefined;
}): Promise<MongoConnection> {
  const client = new MongoClient(options.url, {
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
    await close().catch(() => {}); // the first failure tells more
    throw fromMongo(error);
  }
  return { client, db: client.db(options.database), [Symbol.asyncDispose]: close };
}
