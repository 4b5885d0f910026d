import { readFile } from 'node:fs/promises';
import { race } from '@silo/runtime/deadline.ts';
import { type Contents, followFiles } from '@silo/runtime/follow-files.ts';
import { type Log, silentLogger } from '@silo/runtime/log.ts';
import { redactText } from '@silo/runtime/redact.ts';
import type { Db, MongoClient, MongoClientOptions } from 'mongodb';
import { createClient } from './create-client.ts';
import { fromMongo } from './from-mongo.ts';
import { type PoolUse, watchPools } from './pool-use.ts';
import './refuse-wide-integers.ts';
import { replaceable } from './replaceable.ts';

/** Nothing waits for a server for longer; a call's own deadline may end its waiting before. */
const serverSelectionTimeoutMs = 5_000;
const connectTimeoutMs = 5_000;
const waitQueueTimeoutMs = 5_000;
const socketTimeoutMs = 15_000;
const poolSizeMax = 100;
/** For statements, transactions and cursors that began on a client which has been replaced. */
const replacedClosesMs = 60_000;

/** The URL cannot be used: trying it again does not help. */
export class MongoUrlError extends Error {}

/** An open connection pool and the service's own database. */
export type MongoConnection = AsyncDisposable & { client: MongoClient; db: Db };

/** What locates MongoDB: a URL, or a file that holds it and may be replaced. */
export type MongoSource = { url?: string | undefined; urlFile?: string | undefined };

type ConnectOptions = MongoSource & {
  database: string;
  /** Names this process in the server's log. */
  appName: string;
  /** Nothing is logged unless given. */
  log?: Log | undefined;
  signal?: AbortSignal | undefined;
  /** How often files are looked at; every 10 s by default. */
  intervalMs?: number | undefined;
  /** Counts how the connections are used. */
  poolUse?: PoolUse | undefined;
};

/**
 * Connects to the replica set that the URL names: majority writes and reads, every operation
 * bounded. BSON binaries come back as Buffers; undefined fields are not stored, integers that do not
 * fit into 64 bits refused. Refuses with DEPENDENCY_UNAVAILABLE where no primary answers in 5 s, or
 * the password is refused, and with MongoUrlError where the URL cannot be read.
 *
 * A file with the URL, and the certificates that the URL names, may be replaced: once a new client
 * has logged in, statements use it, and the former one is closed after a minute.
 */
export async function connectMongo(options: ConnectOptions): Promise<MongoConnection> {
  const contents = await readContents(options);
  let current = await openClient(contents, options);
  if (options.urlFile === undefined && Object.keys(contents).length === 1) {
    const close = () => current.close();
    return { client: current, db: current.db(options.database), [Symbol.asyncDispose]: close };
  }
  const stop = new AbortController();
  const closing = new Set<MongoClient>();
  const closeLater = (client: MongoClient) => {
    closing.add(client);
    const close = () => client.close().finally(() => closing.delete(client));
    setTimeout(() => void close().catch(() => {}), replacedClosesMs).unref();
  };
  const following = followFiles({
    name: 'MongoDB credentials',
    read: () => readContents(options),
    accepted: contents,
    accept: async (replaced) => {
      const next = await openClient(replaced, { ...options, signal: stop.signal });
      closeLater(current);
      current = next;
    },
    ...{ log: options.log ?? silentLogger(), signal: stop.signal, intervalMs: options.intervalMs },
  });
  const client = replaceable(() => current);
  return {
    ...{ client, db: client.db(options.database) },
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await following;
      await Promise.all([...closing, current].map((each) => each.close()));
    },
  };
}

/** The options of a URL that name files; the driver takes them in any case. */
const fileOptions: readonly string[] = ['tlscafile', 'tlscertificatekeyfile', 'tlscrlfile'];

/** The URL, and what the files hold that it names. */
async function readContents(source: MongoSource): Promise<Contents & { url: Buffer }> {
  const { url = '', urlFile } = source;
  const text = urlFile === undefined ? url : (await readFile(urlFile, 'utf8')).trim();
  const query = new URLSearchParams(text.slice(text.indexOf('?') + 1));
  const contents: { [name: string]: Buffer } & { url: Buffer } = { url: Buffer.from(text) };
  for (const [option, path] of query) {
    if (fileOptions.includes(option.toLowerCase())) contents[option] = await readFile(path);
  }
  return contents;
}

/** A client that has logged in. */
async function openClient(
  { url }: { url: Buffer },
  { appName, poolUse, signal }: ConnectOptions,
): Promise<MongoClient> {
  const client = makeClient(url.toString(), {
    appName,
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
  if (poolUse !== undefined) watchPools(client, poolUse);
  try {
    const connected = client.connect();
    await (signal ? race(connected, signal) : connected);
    return client;
  } catch (error) {
    await client.close().catch(() => {}); // the first failure is more useful
    throw fromMongo(error);
  }
}

function makeClient(url: string, options: MongoClientOptions): MongoClient {
  try {
    return createClient(url, options);
  } catch (error) {
    // The driver's message may quote all of the URL.
    const reason = redactText(error instanceof Error ? error.message : String(error));
    throw new MongoUrlError(`the URL of MongoDB cannot be used: ${reason}`);
  }
}
