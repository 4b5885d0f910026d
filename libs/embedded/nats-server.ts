import { join } from 'node:path';
import { natsOptions } from '@silo/events/nats-options.ts';
import { connect } from 'nats';
import { type EventStream, type NatsUser, natsAccounts, natsUsers } from './nats-users.ts';
import { openPassword, writePrivateFile } from './passwords.ts';
import { freePort } from './ports.ts';
import { type Log, type OwnedProcess, type StopOptions, startProcess } from './processes.ts';
import { probePort, waitUntil } from './wait-until.ts';

const readyWithinMs = 60_000;

export interface NatsServerOptions {
  /** The path of a nats-server, from `obtain`. */
  binary: string;
  /**
   * Directory of JetStream's files, passwords, configuration, log and process record; created if
   * missing.
   */
  directory: string;
  /** Default: a free port. */
  port?: number | undefined;
  /**
   * The stream and subjects that the users' rights are limited to; default: those that services use
   * by default.
   */
  events?: EventStream | undefined;
  log?: Log | undefined;
  /** Stops waiting for readiness, and ends what was started. */
  signal?: AbortSignal | undefined;
  /** Further lines of its configuration file. */
  configuration?: string | undefined;
}

/** Credentials for the users of a NATS. */
export interface NatsAccess {
  /** The URL with user and password. */
  urlOf(user: NatsUser): string;
  /** The file that holds the user's password; undefined if only the URL has it. */
  passwordFileOf(user: NatsUser): string | undefined;
}

export interface NatsServer extends NatsAccess, AsyncDisposable {
  /** The URL of the user `admin`. */
  url: string;
  port: number;
  pid: number;
  process: OwnedProcess;
  /** Makes the server read the passwords again from their files. Connected clients log in again. */
  reload(): Promise<void>;
  stop(options?: StopOptions): Promise<void>;
}

/**
 * Starts nats-server with JetStream and users on 127.0.0.1 and returns when JetStream answers. Each
 * user has a password of its own in `passwords/<user>`. Throws with the end of its log if it exits
 * before.
 */
export async function startNatsServer(options: NatsServerOptions): Promise<NatsServer> {
  const { binary, directory, log } = options;
  const port = options.port ?? (await freePort());
  const configurationFile = join(directory, 'nats-server.conf');
  const passwordFileOf = (user: NatsUser) => join(directory, 'passwords', user);
  let passwords = new Map<NatsUser, string>();
  const configure = async () => {
    passwords = new Map(
      await Promise.all(
        natsUsers.map(
          async (user) => [user, await openPassword(passwordFileOf(user))] as [NatsUser, string],
        ),
      ),
    );
    const text = configurationOf({ ...options, port }, (user) => passwords.get(user) ?? '');
    await writePrivateFile(configurationFile, text);
  };
  await configure();
  const owned = await startProcess({
    name: 'nats-server',
    command: binary,
    args: ['--config', configurationFile],
    directory,
    logFile: join(directory, 'nats-server.log'),
    log,
  });
  const stop = async (stopOptions?: StopOptions) => {
    await owned.stop(stopOptions);
  };
  const urlOf = (user: NatsUser) => `nats://${user}:${passwords.get(user)}@127.0.0.1:${port}`;
  const url = urlOf('admin');
  try {
    await owned.whileRunning((signal) => untilJetStreamAnswers(url, port, signal), options.signal);
  } catch (error) {
    await stop({ force: true });
    throw error;
  }
  return {
    ...{ url, urlOf, passwordFileOf, port, pid: owned.pid, process: owned, stop },
    reload: async () => {
      await configure();
      owned.kill('SIGHUP');
    },
    [Symbol.asyncDispose]: stop,
  };
}

function configurationOf(
  { directory, port, events, configuration = '' }: NatsServerOptions & { port: number },
  passwordOf: (user: NatsUser) => string,
): string {
  return [
    'server_name: silo',
    `listen: "127.0.0.1:${port}"`,
    `jetstream { store_dir: ${JSON.stringify(join(directory, 'data'))} }`,
    natsAccounts(events ?? defaultEvents, (user) => JSON.stringify(passwordOf(user))),
    configuration,
  ].join('\n');
}

const defaultEvents: EventStream = { stream: 'SILO', subjectPrefix: 'silo.v1' };

async function untilJetStreamAnswers(
  url: string,
  port: number,
  signal: AbortSignal,
): Promise<void> {
  const patience = { withinMs: readyWithinMs, signal };
  await waitUntil('nats-server listening', () => probePort(port), patience);
  await waitUntil('JetStream answering', () => checkJetStream(url), patience);
}

/** Reads the account's JetStream limits. Throws if there is no JetStream. */
export async function checkJetStream(url: string): Promise<void> {
  const connection = await connect({ ...natsOptions({ url }), reconnect: false, timeout: 2_000 });
  try {
    const manager = await connection.jetstreamManager({ timeout: 2_000 });
    await manager.getAccountInfo();
  } finally {
    await connection.close();
  }
}
