import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Document, MongoClient, MongoServerError } from 'mongodb';
import { freePort } from './ports.ts';
import { type Log, type OwnedProcess, type StopOptions, startProcess } from './processes.ts';
import { probePort, waitUntil } from './wait-until.ts';

const replicaSet = 'silo';
const readyWithinMs = 60_000;
/**
 * A set of one answers a linearizable read, which asks for no flush itself, when the journal is
 * flushed the next time. In a larger set the other members ask for it, and the server's own 100 ms
 * cost less: 0.2 s instead of 1.7 of a processor in 10 s for three idle members.
 */
const aloneJournalMs = '1';
// From the server's src/mongo/base/error_codes.yml.
const notYetInitialized = 94;

export interface MongodOptions {
  /** The path of a mongod, from `obtain`. */
  binary: string;
  /** Data, log and record; made when missing. One mongod per directory. */
  directory: string;
  /** Default: a free one. It may differ from that of the last start. */
  port?: number | undefined;
  log?: Log | undefined;
  /** Gives up waiting for readiness, and ends what was started. */
  signal?: AbortSignal | undefined;
  /** WiredTiger's cache, in GB. */
  cacheSizeGB?: number | undefined;
  /** Allows `configureFailPoint`, for tests only. */
  enableTestCommands?: boolean | undefined;
  /** Further `--setParameter`s. */
  setParameters?: Readonly<Record<string, string>> | undefined;
}

export interface Mongod extends AsyncDisposable {
  /** A connection string for the whole replica set. */
  url: string;
  port: number;
  pid: number;
  process: OwnedProcess;
  stop(options?: StopOptions): Promise<void>;
}

export interface MongodSetOptions extends Omit<MongodOptions, 'port'> {
  /** How many members, each with data of its own; default 3. */
  size?: number | undefined;
  /** The ports, one per member; default: free ones. */
  ports?: readonly number[] | undefined;
}

export interface MongodSet extends AsyncDisposable {
  url: string;
  members: readonly Mongod[];
  stop(options?: StopOptions): Promise<void>;
}

/**
 * Starts mongod as a one-node replica set on 127.0.0.1 and returns when it accepts writes.
 * Throws with the tail of its log when it ends before.
 */
export async function startMongod(options: MongodOptions): Promise<Mongod> {
  const port = options.port ?? (await freePort());
  const mongod = await spawnMongod(options, port, [port]);
  try {
    await mongod.process.whileRunning((signal) => becomePrimary([port], signal), options.signal);
    return mongod;
  } catch (error) {
    await mongod.stop({ force: true });
    throw error;
  }
}

/** Starts a replica set of several members and returns when one of them accepts writes. */
export async function startMongodSet({
  size = 3,
  ports,
  directory,
  ...options
}: MongodSetOptions): Promise<MongodSet> {
  const chosen = ports ?? (await freePorts(size));
  await using started = new AsyncDisposableStack();
  const members: Mongod[] = [];
  for (const [index, port] of chosen.entries()) {
    const place = { ...options, directory: join(directory, `member-${index}`) };
    members.push(started.use(await spawnMongod(place, port, chosen)));
  }
  const [first] = members;
  if (!first) throw new Error('a replica set needs a member');
  await first.process.whileRunning((signal) => becomePrimary(chosen, signal), options.signal);
  started.move();
  const stop = async (stopOptions?: StopOptions) => {
    await Promise.all(members.map((member) => member.stop(stopOptions)));
  };
  return { url: connectionString(chosen), members, stop, [Symbol.asyncDispose]: stop };
}

async function spawnMongod(
  options: MongodOptions,
  port: number,
  members: readonly number[],
): Promise<Mongod> {
  const { directory, cacheSizeGB = 0.5 } = options;
  const data = join(directory, 'data');
  await mkdir(data, { recursive: true });
  const parameters = {
    // The answer to SIGTERM otherwise waits up to 15 s for other members to catch up.
    shutdownTimeoutMillisForSignaledShutdown: '100',
    diagnosticDataCollectionEnabled: 'false',
    // A process that is killed inside a transaction leaves its locks behind for that long: the
    // log's counter may be among them. Ours take a second at most; the server's default is 60.
    transactionLifetimeLimitSeconds: '10',
    ...(options.enableTestCommands ? { enableTestCommands: '1' } : {}),
    ...options.setParameters,
  };
  const owned = await startProcess({
    name: 'mongod',
    command: options.binary,
    args: [
      ...['--replSet', replicaSet, '--bind_ip', '127.0.0.1', '--port', String(port)],
      ...['--dbpath', data, '--nounixsocket', '--quiet'],
      ...['--wiredTigerCacheSizeGB', String(cacheSizeGB)],
      ...(members.length === 1 ? ['--journalCommitInterval', aloneJournalMs] : []),
      ...Object.entries(parameters).flatMap(([name, value]) => [
        '--setParameter',
        `${name}=${value}`,
      ]),
    ],
    directory,
    logFile: join(directory, 'mongod.log'),
    log: options.log,
  });
  const stop = async (stopOptions?: StopOptions) => {
    await owned.stop(stopOptions);
  };
  return {
    ...{ url: connectionString(members), port, pid: owned.pid, process: owned, stop },
    [Symbol.asyncDispose]: stop,
  };
}

/** Brings the set into being, or to its new ports, and waits until a member accepts writes. */
async function becomePrimary(ports: readonly number[], signal: AbortSignal): Promise<void> {
  const [first = 0] = ports;
  for (const port of ports) {
    await waitUntil('mongod listening', () => probePort(port), { withinMs: readyWithinMs, signal });
  }
  await using client = new MongoClient(directUrl(first), { serverSelectionTimeoutMS: 5_000 });
  const admin = client.db('admin');
  await waitUntil(
    'mongod taking its replica set configuration',
    () => configure((command) => admin.command(command), ports),
    { withinMs: readyWithinMs, signal },
  );
  await waitUntil(
    'mongod becoming primary',
    async () => {
      const hello = await admin.command({ hello: 1 });
      // Of several members any may lead; each knows who does.
      const leads = ports.length === 1 ? hello.isWritablePrimary === true : hello.primary;
      if (!leads) {
        // It would stand for election by itself when it has missed a leader for 10 s.
        await admin.command({ replSetStepUp: 1 });
        throw new Error(`hello answers ${JSON.stringify(hello.info ?? hello)}`);
      }
      // For an instant after the election majority reads are still refused.
      await admin.collection('system.version').findOne({}, { readConcern: { level: 'majority' } });
    },
    { withinMs: readyWithinMs, signal, pauseMs: 10 },
  );
}

async function configure(
  run: (command: Document) => Promise<Document>,
  ports: readonly number[],
): Promise<void> {
  const members = ports.map((port, id) => ({ _id: id, host: `127.0.0.1:${port}` }));
  try {
    const { config } = await run({ replSetGetConfig: 1 });
    const hosts = config.members.map((member: Document) => member.host);
    if (hosts.join() === members.map(({ host }) => host).join()) return;
    // The ports are others than last time; who cannot find itself in the configuration is no
    // primary, and only a forced change is taken then.
    const { term: _, ...kept } = config;
    const next = { ...kept, version: kept.version + 1, members };
    await run({ replSetReconfig: next, force: true });
  } catch (error) {
    if (!(error instanceof MongoServerError && error.code === notYetInitialized)) throw error;
    await run({ replSetInitiate: { _id: replicaSet, members } });
  }
}

async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) ports.add(await freePort());
  return [...ports];
}

function connectionString(ports: readonly number[]): string {
  const hosts = ports.map((port) => `127.0.0.1:${port}`).join(',');
  return `mongodb://${hosts}/?replicaSet=${replicaSet}`;
}

function directUrl(port: number): string {
  return `mongodb://127.0.0.1:${port}/?directConnection=true`;
}
