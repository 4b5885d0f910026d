import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Endpoints, endpointsFile, writeEndpoints } from '@silo/embedded/endpoints.ts';
import type { MongodbUser } from '@silo/embedded/mongod-users.ts';
import type { NatsUser } from '@silo/embedded/nats-users.ts';
import { readPassword } from '@silo/embedded/passwords.ts';
import type { OwnedProcess, StopOptions } from '@silo/embedded/processes.ts';
import { lockState } from '@silo/embedded/state-lock.ts';
import type { TlsFiles } from '@silo/rpc/tls.ts';
import type { ComposeService } from './compose.ts';
import { type Binaries, openDeployment, startContainer, untilHealthy } from './container.ts';
import type { Ports } from './container-view.ts';

/** Requires a container's own volumes, because it changes their owner. */
const onlyInContainers = 'volumes';

type SecureClusterOptions = {
  /**
   * Directory of everything in the cluster, including secrets; one running cluster per directory.
   */
  directory: string;
  binaries: Binaries;
  log: (line: string) => void;
  signal?: AbortSignal | undefined;
};

/** docker-compose.yml as processes of this machine. */
export type SecureCluster = AsyncDisposable & {
  endpoints: Endpoints;
  /** A service's certificate, of the CA of the cluster. */
  certificate(name: string): TlsFiles;
  mongodbUrlOf(user: MongodbUser): string;
  natsUrlOf(user: NatsUser): string;
  /** The processes of the running services. */
  processes: ReadonlyMap<string, OwnedProcess>;
  /**
   * Runs a service that is not started with the others until it ends, like `docker compose run`.
   * Returns the last lines of this run.
   */
  run(name: string): Promise<{ code: number | null; output: string }>;
  /** Resolves if a process ended without being stopped. */
  failure: Promise<Error>;
  stop(options?: StopOptions): Promise<void>;
};

/**
 * Starts the services of docker-compose.yml without containers: with the same commands,
 * configuration files, environment and secrets; only addresses and paths are those of this machine.
 * Returns when all health checks succeed.
 */
export async function startSecureCluster(options: SecureClusterOptions): Promise<SecureCluster> {
  const { directory, log, signal } = options;
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const lock = await lockState(directory);
  await using opened = new AsyncDisposableStack();
  opened.defer(() => lock.release());
  const { secrets, services, ports } = await openDeployment(directory);
  const failure = Promise.withResolvers<Error>();
  const running = { users: [] as OwnedProcess[], servers: [] as OwnedProcess[] };
  const processes = new Map<string, OwnedProcess>();
  let stopping = false;
  const stop = async (stopOptions?: StopOptions) => {
    stopping = true;
    await rm(endpointsFile(directory), { force: true });
    // The clients of the servers end before the servers.
    await Promise.all(running.users.map((each) => each.stop(stopOptions)));
    await Promise.all(running.servers.map((each) => each.stop(stopOptions)));
  };
  opened.defer(() => stop({ force: true }));
  const giveUp = new AbortController();
  const over = AbortSignal.any([giveUp.signal, ...(signal ? [signal] : [])]);
  const started = new Map<string, Promise<void>>([[onlyInContainers, Promise.resolve()]]);
  const start = async (service: ComposeService) => {
    await Promise.all([...service.after.keys()].map((name) => started.get(name)));
    over.throwIfAborted();
    const owned = await startContainer(service, { ...options, ports });
    (isServer(service) ? running.servers : running.users).push(owned.process);
    processes.set(service.name, owned.process);
    owned.process.exited.then((exit) => {
      if (!stopping && !isOneShot(service, services))
        failure.resolve(owned.process.exitError(exit));
    });
    if (isOneShot(service, services)) await untilEnded(owned.process);
    else await owned.process.whileRunning((ended) => untilHealthy(owned, ended), over);
    log(`${service.name} is ${isOneShot(service, services) ? 'done' : 'healthy'}`);
  };
  for (const service of inOrder(services)) {
    if (service.name === onlyInContainers || !service.isStarted) continue;
    const starting = start(service).catch((error) => {
      giveUp.abort(error);
      throw error;
    });
    starting.catch(() => {}); // awaited below, and by the services that start after it
    started.set(service.name, starting);
  }
  await Promise.allSettled(started.values());
  over.throwIfAborted();
  const access = accessTo(secrets, ports);
  const endpoints = endpointsOf(ports, access);
  await writeEndpoints(directory, endpoints);
  const { certificate, mongodbUrlOf, natsUrlOf } = access;
  const run = async (name: string) => {
    const service = services.find((each) => each.name === name);
    if (service === undefined) throw new Error(`compose: there is no service ${name}`);
    const owned = await startContainer(service, { ...options, ports });
    const { code } = await owned.process.exited;
    return { code, output: owned.process.logTail() };
  };
  const kept = opened.move();
  return {
    ...{ endpoints, certificate, mongodbUrlOf, natsUrlOf, processes, run },
    ...{ failure: failure.promise, stop },
    [Symbol.asyncDispose]: async () => {
      await stop();
      await kept.disposeAsync();
    },
  };
}

/** Orders services so that each follows those that it depends on. */
function inOrder(services: readonly ComposeService[]): ComposeService[] {
  const ordered: ComposeService[] = [];
  const place = (service: ComposeService) => {
    if (ordered.includes(service)) return;
    for (const other of services) if (service.after.has(other.name)) place(other);
    ordered.push(service);
  };
  for (const service of services) place(service);
  return ordered;
}

/** Whether it runs a server of another image: MongoDB or NATS. */
function isServer({ entrypoint }: ComposeService): boolean {
  return entrypoint.length > 0;
}

/** Whether other services wait for its end. */
function isOneShot({ name }: ComposeService, services: readonly ComposeService[]): boolean {
  return services.some(({ after }) => after.get(name) === 'ended');
}

async function untilEnded(owned: OwnedProcess): Promise<void> {
  const exit = await owned.exited;
  if (exit.code !== 0) throw owned.exitError(exit);
}

/** The URLs and addresses of the servers and services, for each of their users. */
function accessTo(secrets: string, ports: Ports) {
  const passwordOf = (server: string, user: string) =>
    readPassword(join(secrets, server, 'passwords', user)) ?? '';
  const file = (name: string) => join(secrets, 'certificates', name);
  const ca = file('ca.pem');
  const members = ['mongodb-1', 'mongodb-2', 'mongodb-3'];
  const hosts = members.map((name) => `127.0.0.1:${ports.of(name, 27017)}`).join(',');
  return {
    ca,
    certificate: (name: string) => ({ ca, cert: file(`${name}.pem`), key: file(`${name}.key`) }),
    mongodbUrlOf: (user: MongodbUser) =>
      `mongodb://${user}:${passwordOf('mongodb', user)}@${hosts}/?replicaSet=silo&authSource=admin&tls=true&tlsCAFile=${ca}`,
    natsUrlOf: (user: NatsUser) =>
      `tls://${user}:${passwordOf('nats', user)}@127.0.0.1:${ports.of('nats', 4222)}`,
  };
}

function endpointsOf(
  ports: Ports,
  { ca, certificate, mongodbUrlOf, natsUrlOf }: ReturnType<typeof accessTo>,
): Endpoints {
  const at = (name: string, port: number) => `127.0.0.1:${ports.of(name, port)}`;
  const portsOf = (name: string, outer: number, inner: number) => {
    return { public: at(name, outer), internal: at(name, inner), metrics: at(name, 9464) };
  };
  const pair = (name: string) => ({ cert: certificate(name).cert, key: certificate(name).key });
  return {
    ...{ region: 'us', ca, natsCa: ca },
    staff: pair('staff-operator'),
    guard: { ...pair('guard-product'), nats: natsUrlOf('guard') },
    services: {
      org: portsOf('org', 7101, 7201),
      project: portsOf('project', 7102, 7202),
      token: portsOf('token', 7103, 7203),
      billing: portsOf('billing', 7104, 7204),
    },
    edge: `http://${at('edge', 7105)}`,
    edgeInternal: at('edge', 7206),
    mongodb: mongodbUrlOf('admin'),
    nats: natsUrlOf('subscriber'),
  };
}
