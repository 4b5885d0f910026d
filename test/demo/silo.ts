import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type Endpoints, endpointsFile } from '@silo/embedded/endpoints.ts';
import { untilHealth } from '@silo/embedded/health.ts';
import { startSilo } from '@silo/embedded/silo.ts';

const aliveWithinMs = 3_000;

/** A Silo for the demo. */
export type OpenSilo = AsyncDisposable & {
  endpoints: Endpoints;
  /** Rejects as soon as one of its processes ended by itself; never resolves. */
  failure: Promise<never>;
};

export type OpenOptions = { log: (line: string) => void; signal: AbortSignal };

/** The running Silo of SILO_DIRECTORY (default `.silo`), or a new one that ends with the demo. */
export async function openSilo(options: OpenOptions): Promise<OpenSilo> {
  const directory = resolve(process.env.SILO_DIRECTORY || '.silo');
  const running = await findRunning(directory, options);
  if (running === undefined) return startOwn(options);
  options.log(`Using the Silo that runs in ${directory}, region ${running.region}.`);
  return {
    endpoints: running,
    failure: new Promise(() => {}),
    [Symbol.asyncDispose]: async () => {},
  };
}

async function findRunning(
  directory: string,
  { log, signal }: OpenOptions,
): Promise<Endpoints | undefined> {
  const text = await readFile(endpointsFile(directory), 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  try {
    const endpoints: Endpoints = JSON.parse(text);
    const { ca, services } = endpoints;
    await Promise.all(
      Object.values(services).map(({ public: address }) =>
        untilHealth('SERVING', { address, ca }, { withinMs: aliveWithinMs, signal }),
      ),
    );
    return endpoints;
  } catch (error) {
    signal.throwIfAborted();
    const reason = error instanceof Error ? error.message : error;
    log(`${directory} describes a Silo that is not running: ${reason}`);
    return undefined;
  }
}

async function startOwn({ log, signal }: OpenOptions): Promise<OpenSilo> {
  log('No Silo runs here (npm start starts one), so the demo starts its own:');
  const directory = await mkdtemp(join(tmpdir(), 'silo-demo-'));
  const clear = () => rm(directory, { recursive: true, force: true, maxRetries: 10 });
  try {
    const silo = await startSilo({
      directory,
      freePorts: true,
      signal,
      log: (line) => log(`  ${line}`),
    });
    const failure = silo.failure.then((error): never => {
      throw error;
    });
    failure.catch(() => {}); // its awaiters get the error, and there may be none
    return {
      endpoints: silo.endpoints,
      failure,
      [Symbol.asyncDispose]: async () => {
        await silo.stop();
        await clear();
      },
    };
  } catch (error) {
    await clear();
    throw error;
  }
}
