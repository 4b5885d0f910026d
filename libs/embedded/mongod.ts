import { randomBytes } from 'node:crypto';
import { access, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { retry } from '@silo/runtime/retry.ts';
import { type Db, type Document, MongoClient, MongoServerError } from 'mongodb';
import { redactMongodLine } from './mongod-log.ts';
import {
  type MongodbAccess,
  type MongodbUser,
  MongodPasswords,
  replicaSetName,
} from './mongod-users.ts';
import { writePrivateFile } from './passwords.ts';
import { freePort } from './ports.ts';
import { type Log, type OwnedProcess, type StopOptions, startProcess } from './processes.ts';
import { probePort, waitUntil } from './wait-until.ts';

const readyWithinMs = 120_000;
// A code of the server's src/mongo/base/error_codes.yml.
const notYetInitialized = 94;
const alreadyInitialized = 23;
const unauthorized = 13;
/** Codes of NotWritablePrimary, PrimarySteppedDown and InterruptedDueToReplStateChange. */
const notPrimary: ReadonlySet<unknown> = new Set([10107, 189, 11602]);

export interface MongodOptions {
  /** The path of a mongod, from `obtain`. */
  binary: string;
  /**
   * Directory of data, passwords, log and process record; created if missing. One mongod per
   * directory.
   */
  directory: string;
  /** The databases of the services' users are `<prefix>_<service>`; default `silo`. */
  databasePrefix?: string | undefined;
  /** Default: a free port. It may differ from that of the last start. */
  port?: number | undefined;
  log?: Log | undefined;
  /** Stops waiting for readiness, and ends what was started. */
  signal?: AbortSignal | undefined;
  /** WiredTiger's cache, in GB. */
  cacheSizeGB?: number | undefined;
  /** Allows `configureFailPoint`, for tests only. */
  enableTestCommands?: boolean | undefined;
  /** Further `--setParameter`s. */
  setParameters?: Readonly<Record<string, string>> | undefined;
}

export interface Mongod extends MongodbAccess, AsyncDisposable {
  /** A connection string for the whole replica set, with the user `admin`. */
  url: string;
  port: number;
  pid: number;
  process: OwnedProcess;
  stop(options?: StopOptions): Promise<void>;
}

export interface MongodSetOptions extends Omit<MongodOptions, 'port'> {
  /** Number of members, each with data of its own; default 3. */
  size?: number | undefined;
  /** The ports, one per member; default: free ones. */
  ports?: readonly number[] | undefined;
}

export interface MongodSet extends MongodbAccess, AsyncDisposable {
  /** A connection string for the user `admin`. */
  url: string;
  members: readonly Mongod[];
  stop(options?: StopOptions): Promise<void>;
}

/**
 * Starts mongod as a one-node replica set with users on 127.0.0.1 and returns when it accepts
 * writes. Throws with the end of its log if it exits before. Keeps the data of a release that had
 * no users, and adds the users first.
 */
export async function startMongod(options: MongodOptions): Promise<Mongod> {
  const port = options.port ?? (await freePort());
  const place = { ...options, passwords: new MongodPasswords(options.directory) };
  if (!place.passwords.hasAdmin && (await holdsData(options.directory))) {
    await adoptData(place, port);
  }
  const mongod = await spawnMongod(place, port, [port], await openKeyFile(options.directory));
  try {
    await mongod.process.whileRunning((signal) => serve(place, [port], signal), options.signal);
    return mongod;
  } catch (error) {
    await mongod.stop({ force: true });
    throw error;
  }
}

/**
 * The access to a mongod that is about to start there. Services can start at the same time and
 * connect as soon as it accepts connections. Undefined before the first start has created their
 * users, because until then mongod refuses their logins.
 */
export function accessBeforeStart(directory: string, port: number): MongodbAccess | undefined {
  const passwords = new MongodPasswords(directory);
  if (!passwords.areKnown) return undefined;
  return { urlOf: (user) => connectionString([port], user, passwords.of(user)) };
}

/**
 * Starts a replica set of several members and returns when one of them accepts writes.
 * @internal Exported for tests.
 */
export async function startMongodSet({
  size = 3,
  ports,
  ...options
}: MongodSetOptions): Promise<MongodSet> {
  const { directory } = options;
  const chosen = ports ?? (await freePorts(size));
  const passwords = new MongodPasswords(directory);
  const keyFile = await openKeyFile(directory);
  await using started = new AsyncDisposableStack();
  const members: Mongod[] = [];
  for (const [index, port] of chosen.entries()) {
    const place = { ...options, passwords, directory: join(directory, `member-${index}`) };
    members.push(started.use(await spawnMongod(place, port, chosen, keyFile)));
  }
  const [first] = members;
  if (!first) throw new Error('a replica set needs a member');
  const place = { ...options, passwords };
  await first.process.whileRunning((signal) => serve(place, chosen, signal), options.signal);
  started.move();
  const stop = async (stopOptions?: StopOptions) => {
    await Promise.all(members.map((member) => member.stop(stopOptions)));
  };
  const { urlOf } = first;
  return { url: urlOf('admin'), urlOf, members, stop, [Symbol.asyncDispose]: stop };
}

type Place = MongodOptions & { passwords: MongodPasswords };

/** Starts a member; without authentication if there is no key file. */
async function spawnMongod(
  options: Place,
  port: number,
  members: readonly number[],
  keyFile: string | undefined,
): Promise<Mongod> {
  const { directory, passwords, cacheSizeGB = 0.5 } = options;
  const data = join(directory, 'data');
  await mkdir(data, { recursive: true });
  const parameters = {
    // Otherwise mongod waits up to 15 s after SIGTERM for other members to catch up.
    shutdownTimeoutMillisForSignaledShutdown: '100',
    diagnosticDataCollectionEnabled: 'false',
    // A process that is killed inside a transaction leaves its locks behind for this time; they may
    // include the log's counter. Transactions of Silo take a second at most; the server's default
    // is 60.
    transactionLifetimeLimitSeconds: '10',
    ...(options.enableTestCommands ? { enableTestCommands: '1' } : {}),
    ...options.setParameters,
  };
  const owned = await startProcess({
    name: 'mongod',
    command: options.binary,
    args: [
      ...['--replSet', replicaSetName, '--bind_ip', '127.0.0.1', '--port', String(port)],
      ...['--dbpath', data, '--nounixsocket', '--quiet'],
      // The log line of a slow command would quote the documents in it.
      ...['--slowms', '2147483647'],
      ...['--wiredTigerCacheSizeGB', String(cacheSizeGB)],
      ...(keyFile !== undefined ? ['--keyFile', keyFile] : []),
      ...Object.entries(parameters).flatMap(([name, value]) => [
        '--setParameter',
        `${name}=${value}`,
      ]),
    ],
    directory,
    logFile: logFileIn(directory),
    redactLine: redactMongodLine,
    log: options.log,
  });
  const stop = async (stopOptions?: StopOptions) => {
    await owned.stop(stopOptions);
  };
  const urlOf = (user: MongodbUser) => connectionString(members, user, passwords.of(user));
  return {
    get url() {
      return urlOf('admin');
    },
    ...{ urlOf, port, pid: owned.pid, process: owned, stop },
    [Symbol.asyncDispose]: stop,
  };
}

function logFileIn(directory: string): string {
  return join(directory, 'mongod.log');
}

/**
 * The key with which members of a set authenticate to each other; mongod refuses a mode above 0600.
 */
async function openKeyFile(directory: string): Promise<string> {
  const file = join(directory, 'key-file');
  if (!(await exists(file))) await writePrivateFile(file, randomBytes(96).toString('base64'));
  return file;
}

function holdsData(directory: string): Promise<boolean> {
  return exists(join(directory, 'data', 'WiredTiger'));
}

function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}

/**
 * Adds an administrator to data without users, on a server without access control: with access
 * control, a set whose port has changed cannot be reconfigured.
 */
async function adoptData(place: Place, port: number): Promise<void> {
  const { directory, passwords, log, signal: outer } = place;
  log?.(`${directory} comes from a release without users: keeping its data and adding users`);
  // The old log may quote tokens and e-mail addresses.
  for (const file of ['', '.1']) await rm(`${logFileIn(directory)}${file}`, { force: true });
  await using mongod = await spawnMongod(place, port, [port], undefined);
  await mongod.process.whileRunning(async (signal) => {
    await becomePrimary([port], undefined, signal);
    await using client = new MongoClient(directUrl(port));
    await passwords.createAdmin(client.db('admin'));
  }, outer);
}

/** Makes a set with access control accept writes, and creates its users. */
async function serve(
  { passwords, databasePrefix = 'silo' }: Pick<Place, 'passwords' | 'databasePrefix'>,
  ports: readonly number[],
  signal: AbortSignal,
): Promise<void> {
  if (!passwords.hasAdmin) {
    await onPrimary(ports, undefined, signal, (admin) => passwords.createAdmin(admin));
  }
  await onPrimary(ports, passwords.of('admin'), signal, async (admin) => {
    await waitUntil(
      'mongod answering majority reads',
      // Right after the election, majority reads are refused for a moment.
      () => admin.collection('system.version').findOne({}, { readConcern: { level: 'majority' } }),
      { withinMs: readyWithinMs, signal, pauseMs: 10 },
    );
    await passwords.createServiceUsers(admin, databasePrefix);
  });
}

/** Runs work on the primary; runs it again if another member was elected meanwhile. */
async function onPrimary(
  ports: readonly number[],
  password: string | undefined,
  signal: AbortSignal,
  work: (admin: Db) => Promise<void>,
): Promise<void> {
  const attempt = async () => {
    const primary = await becomePrimary(ports, password, signal);
    await using client = new MongoClient(directUrl(primary, password));
    await work(client.db('admin'));
  };
  await retry(attempt, {
    ...{ attemptsMax: 10, baseMs: 100, capMs: 2_000, signal },
    isRetryable: (error) => error instanceof MongoServerError && notPrimary.has(error.code),
  });
}

/**
 * Initiates the set, or reconfigures it to its new ports, waits until a member accepts writes and
 * returns that member's port. Without a password it uses the localhost exception, which only allows
 * the first set-up.
 */
async function becomePrimary(
  ports: readonly number[],
  password: string | undefined,
  signal: AbortSignal,
): Promise<number> {
  const [first = 0] = ports;
  for (const port of ports) {
    await waitUntil('mongod listening', () => probePort(port), { withinMs: readyWithinMs, signal });
  }
  await using client = new MongoClient(directUrl(first, password), {
    serverSelectionTimeoutMS: 5_000,
  });
  const admin = client.db('admin');
  await waitUntil('mongod accepting its replica set configuration', () => configure(admin, ports), {
    withinMs: readyWithinMs,
    signal,
  });
  return await waitUntil(
    'mongod becoming primary',
    async () => {
      const hello = await admin.command({ hello: 1 });
      // Any member may be the primary, and each member knows which one is.
      if (hello.isWritablePrimary === true) return first;
      const leader = ports.length > 1 ? String(hello.primary ?? '').split(':')[1] : undefined;
      if (leader !== undefined) return Number(leader);
      // Without this, a member starts an election only after it has missed a primary for 10 s.
      await admin.command({ replSetStepUp: 1 });
      throw new Error(`hello answers ${JSON.stringify(hello.info ?? hello)}`);
    },
    { withinMs: readyWithinMs, signal, pauseMs: 10 },
  );
}

async function configure(admin: Db, ports: readonly number[]): Promise<void> {
  const members = ports.map((port, id) => ({ _id: id, host: `127.0.0.1:${port}` }));
  try {
    const { config } = await admin.command({ replSetGetConfig: 1 });
    const hosts = config.members.map((member: Document) => member.host);
    if (hosts.join() === members.map(({ host }) => host).join()) return;
    // The ports differ from last time. A member that is not in its own configuration cannot be
    // primary, and accepts only a forced reconfiguration.
    const { term: _, ...kept } = config;
    const next = { ...kept, version: kept.version + 1, members };
    await admin.command({ replSetReconfig: next, force: true });
  } catch (error) {
    if (!(error instanceof MongoServerError)) throw error;
    // Until a user exists, the configuration can only be initiated, not read.
    if (error.code !== notYetInitialized && error.code !== unauthorized) throw error;
    await initiate(admin, { _id: replicaSetName, members });
  }
}

async function initiate(admin: Db, config: Document): Promise<void> {
  try {
    await admin.command({ replSetInitiate: config });
  } catch (error) {
    if (!(error instanceof MongoServerError && error.code === alreadyInitialized)) throw error;
  }
}

async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) ports.add(await freePort());
  return [...ports];
}

function connectionString(ports: readonly number[], user: MongodbUser, password: string): string {
  const hosts = ports.map((port) => `127.0.0.1:${port}`).join(',');
  return `mongodb://${user}:${password}@${hosts}/?replicaSet=${replicaSetName}&authSource=admin`;
}

/** With a password, the URL is for the user `admin`. */
function directUrl(port: number, password?: string): string {
  const login = password === undefined ? '' : `admin:${password}@`;
  return `mongodb://${login}127.0.0.1:${port}/?directConnection=true`;
}
