import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connect } from 'nats';
import { freePort } from './ports.ts';
import { type Log, type OwnedProcess, type StopOptions, startProcess } from './processes.ts';
import { probePort, waitUntil } from './wait-until.ts';

const readyWithinMs = 30_000;

export interface NatsServerOptions {
  /** The path of a nats-server, from `obtain`. */
  binary: string;
  /** JetStream's files, configuration, log and record; made when missing. */
  directory: string;
  /** Default: a free one. */
  port?: number | undefined;
  log?: Log | undefined;
  /** Gives up waiting for readiness, and ends what was started. */
  signal?: AbortSignal | undefined;
  /** Further lines of its configuration file. */
  configuration?: string | undefined;
}

export interface NatsServer extends AsyncDisposable {
  url: string;
  port: number;
  pid: number;
  process: OwnedProcess;
  stop(options?: StopOptions): Promise<void>;
}

/**
 * Starts nats-server with JetStream on 127.0.0.1 and returns when JetStream answers.
 * Throws with the tail of its log when it ends before.
 */
export async function startNatsServer(options: NatsServerOptions): Promise<NatsServer> {
  const { binary, directory, log, configuration = '' } = options;
  const port = options.port ?? (await freePort());
  await mkdir(directory, { recursive: true });
  const configurationFile = join(directory, 'nats-server.conf');
  await writeFile(
    configurationFile,
    [
      'server_name: silo',
      `listen: "127.0.0.1:${port}"`,
      `jetstream { store_dir: ${JSON.stringify(join(directory, 'data'))} }`,
      configuration,
    ].join('\n'),
  );
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
  const url = `nats://127.0.0.1:${port}`;
  try {
    await owned.whileRunning((signal) => untilJetStreamAnswers(url, port, signal), options.signal);
  } catch (error) {
    await stop({ force: true });
    throw error;
  }
  return { url, port, pid: owned.pid, process: owned, stop, [Symbol.asyncDispose]: stop };
}

async function untilJetStreamAnswers(
  url: string,
  port: number,
  signal: AbortSignal,
): Promise<void> {
  const patience = { withinMs: readyWithinMs, signal };
  await waitUntil('nats-server listening', () => probePort(port), patience);
  await waitUntil('JetStream answering', () => askJetStream(url), patience);
}

/** Asks for the account's JetStream limits. Throws when there is no JetStream. */
export async function askJetStream(url: string): Promise<void> {
  const connection = await connect({ servers: url, reconnect: false, timeout: 2_000 });
  try {
    const manager = await connection.jetstreamManager({ timeout: 2_000 });
    await manager.getAccountInfo();
  } finally {
    await connection.close();
  }
}
