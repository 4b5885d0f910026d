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

/** The maximum wait for a server; a call's own deadline may end the wait earlier. */
const serverSelectionTimeoutMs = 5_000;
const connectTimeoutMs = 5_000;
const waitQueueTimeoutMs = 5_000;
const socketTimeoutMs = 15_000;
const poolSizeMax = 100;
/** Time for statements, transactions and cursors that began on a client that has been replaced. */
const replacedClosesMs = 60_000;

/** The URL is invalid, so a retry does not help. */
export class MongoUrlError extends Error {}

/** An open connection pool and the service's own database. */
export type MongoConnection = AsyncDisposable & { client: MongoClient; db: Db };

/** The location of MongoDB: a URL, or a file that contains it and may be replaced. */
export type MongoSource = { url?: string | undefined; urlFile?: string | undefined };

type ConnectOptions = MongoSource & {
  database: string;
  /** The name of this process in the server's log. */
  appName: string;
  /** Default: nothing is logged. */
  log?: Log | undefined;
  signal?: AbortSignal | undefined;
  /** How often files are checked; default 10 s. */
  intervalMs?: number | undefined;
  /** Counts the use of connections. */
  poolUse?: PoolUse | undefined;
};

/**
 * Connects to the replica set that the URL names, with majority writes and reads and a time limit
 * for every operation. BSON binaries are returned as Buffers; undefined fields are not stored, and
 * integers that do not fit into 64 bits are refused. Refuses with DEPENDENCY_UNAVAILABLE if no
 * primary answers in 5 s or the password is refused, and with MongoUrlError if the URL cannot be
 * read.
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

/** Options of a URL whose values are files; the driver accepts them in any case. */
const fileOptions: readonly string[] = ['tlscafile', 'tlscertificatekeyfile', 'tlscrlfile'];

/** Reads the URL, and the contents of the files that it names. */
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

/** Returns a client that has logged in. */
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
    // The driver's message may quote the whole URL.
    const reason = redactText(error instanceof Error ? error.message : String(error));
    throw new MongoUrlError(`the URL of MongoDB cannot be used: ${reason}`);
  }
}
