import { rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { type ServiceName, serviceNames } from '@silo/service/config.ts';
import {
  type CertificateAuthority,
  type CertificateFiles,
  issueCertificate,
  openCertificateAuthority,
} from './certificates.ts';
import { type Endpoints, endpointsFile, writeEndpoints } from './endpoints.ts';
import { accessBeforeStart, type Mongod } from './mongod.ts';
import type { MongodbAccess } from './mongod-users.ts';
import type { NatsAccess, NatsServer } from './nats-server.ts';
import {
  type Log,
  type OwnedProcess,
  reapOrphan,
  recordFileIn,
  type StopOptions,
} from './processes.ts';
import { mongodbDirectory, openMongodb, openNats } from './servers.ts';
import { ServiceProcess } from './service-process.ts';
import { choosePorts, type Ports } from './silo-ports.ts';
import { lockState } from './state-lock.ts';

const repository = resolve(import.meta.dirname, '..', '..');
const drainMs = 15_000;

export interface SiloOptions {
  /** Directory of everything that persists; one running Silo per directory. */
  directory: string;
  log: Log;
  /**
   * The environment that services inherit; REGION, MONGODB_URL and similar settings are read from
   * it.
   */
  environment?: NodeJS.ProcessEnv | undefined;
  /** Stops everything, even while it is still starting. */
  signal?: AbortSignal | undefined;
  /**
   * Running servers to use instead of own ones; default: MONGODB_URL and NATS_URL of the
   * environment.
   */
  servers?: { mongodb?: MongodbAccess | undefined; nats?: NatsAccess | undefined } | undefined;
  /** Leaves the documented ports to others, so that several can run on one machine. */
  freePorts?: boolean | undefined;
  /** The file that Node runs for a service; default `services/<name>/main.ts`. */
  main?: ((name: ServiceName) => string) | undefined;
}

/** A running deployment. */
export interface Silo extends AsyncDisposable {
  endpoints: Endpoints;
  endpointsFile: string;
  services: Readonly<Record<ServiceName, ServiceProcess>>;
  /** Undefined if an existing server is used. */
  mongod: Mongod | undefined;
  natsServer: NatsServer | undefined;
  /** Resolves if a process ended without being stopped; the others still run then. */
  failure: Promise<Error>;
  /** Drains the services, then stops everything else that was started here. */
  stop(options?: StopOptions): Promise<void>;
}

interface Parts {
  services: Partial<Record<ServiceName, ServiceProcess>>;
  mongod?: Mongod | undefined;
  natsServer?: NatsServer | undefined;
  /** Once true, the exit of a process is not a failure. */
  stopping: boolean;
}

/** Starts MongoDB, NATS and the four services, and returns when all of them serve. */
export async function startSilo(options: SiloOptions): Promise<Silo> {
  const { log, environment = process.env } = options;
  const directory = resolve(options.directory);
  options.signal?.throwIfAborted();
  const lock = await lockState(directory);
  const parts: Parts = { services: {}, stopping: false };
  let stopped: Promise<void> | undefined;
  const stop = (stopOptions?: StopOptions): Promise<void> => {
    parts.stopping = true;
    // A later call may request a forced stop.
    if (stopOptions?.force) forceAll(parts);
    stopped ??= lock
      .announceRelease()
      .then(() => stopAll(directory, parts, stopOptions))
      .finally(() => lock.release());
    return stopped;
  };
  const failure = Promise.withResolvers<Error>();
  // The first failure ends everything that is still starting.
  const giveUp = new AbortController();
  const onFailure = (error: Error) => {
    failure.resolve(error);
    giveUp.abort(error);
  };
  const signal = AbortSignal.any([giveUp.signal, ...(options.signal ? [options.signal] : [])]);
  try {
    await rm(endpointsFile(directory), { force: true });
    await reapAll(directory, log);
    const endpoints = await startAll(
      { ...options, directory, environment, signal },
      parts,
      onFailure,
    );
    signal.throwIfAborted();
    await writeEndpoints(directory, endpoints);
    return {
      endpoints,
      endpointsFile: endpointsFile(directory),
      services: allServices(parts),
      mongod: parts.mongod,
      natsServer: parts.natsServer,
      failure: failure.promise,
      stop,
      [Symbol.asyncDispose]: () => stop(),
    };
  } catch (error) {
    await stop();
    // Throws the caller's own reason, whichever part noticed the abort first.
    options.signal?.throwIfAborted();
    throw signal.aborted ? signal.reason : error;
  }
}

interface StartOptions extends SiloOptions {
  environment: NodeJS.ProcessEnv;
  signal: AbortSignal;
}

async function startAll(
  options: StartOptions,
  parts: Parts,
  onFailure: (error: Error) => void,
): Promise<Endpoints> {
  const { directory, environment, log, signal } = options;
  const region = environment.REGION || 'us';
  const { servers } = options;
  const ports = await choosePorts(directory, {
    free: options.freePorts ?? false,
    unused: [
      ...(servers?.mongodb || environment.MONGODB_URL ? (['mongodb'] as const) : []),
      ...(servers?.nats || environment.NATS_URL ? (['nats'] as const) : []),
    ],
    log,
  });
  const watch = (process: OwnedProcess) => {
    process.exited.then((exit) => {
      if (!parts.stopping) onFailure(process.exitError(exit));
    });
  };
  const shared = sharedEnvironment(options, ports);
  const events = { stream: shared.NATS_STREAM, subjectPrefix: shared.NATS_SUBJECT_PREFIX };
  const opening = {
    authority: openCertificateAuthority(join(directory, 'certificates'), { region }),
    mongodb: servers?.mongodb
      ? Promise.resolve(servers.mongodb)
      : openMongodb(environment.MONGODB_URL, { ...options, port: ports.mongodb }, (mongod) => {
          parts.mongod = mongod;
          watch(mongod.process);
        }),
    nats: servers?.nats
      ? Promise.resolve(servers.nats)
      : openNats(environment.NATS_URL, { ...options, events, port: ports.nats }, (server) => {
          parts.natsServer = server;
          watch(server.process);
        }),
  };
  const startServices = async (): Promise<{ staff: CertificateFiles; guard: CertificateFiles }> => {
    const ownMongodb = servers?.mongodb === undefined && !environment.MONGODB_URL;
    // Services spend half of the start loading their code, so mongod starts at the same time.
    const early = ownMongodb
      ? accessBeforeStart(mongodbDirectory(directory), ports.mongodb)
      : undefined;
    const [authority, nats] = await Promise.all([opening.authority, opening.nats]);
    const mongodb = early ?? (await opening.mongodb);
    const staff = await issueCertificate(authority, { role: 'staff', name: 'developer' });
    const guard = await issueCertificate(authority, { role: 'guard', name: 'edge' });
    await Promise.all(
      serviceNames.map(async (name) => {
        const service = await prepareService(name, options, {
          ports,
          authority,
          staff,
          environment: { ...shared, ...accessOf(name, mongodb, nats) },
          onFailure,
        });
        parts.services[name] = service;
        signal.throwIfAborted();
        await service.start(signal);
        log(`${name} is serving`);
      }),
    );
    return { staff, guard };
  };
  const [authority, mongodb, nats, { staff, guard }] = await allOrNothing(onFailure, [
    opening.authority,
    opening.mongodb,
    opening.nats,
    startServices(),
  ]);
  const services = allServices(parts);
  return {
    region,
    ca: authority.certificateFile,
    staff: { cert: staff.certificate, key: staff.key },
    guard: { cert: guard.certificate, key: guard.key, nats: nats.urlOf('guard') },
    services: mapServices((name) => ({
      public: services[name].publicAddress,
      internal: services[name].internalAddress,
      metrics: metricsAddress(name, ports),
    })),
    edge: `http://${edgeAddress(ports)}`,
    mongodb: mongodb.urlOf('admin'),
    nats: nats.urlOf('subscriber'),
  };
}

/** The environment with which a service reaches the servers as its own users. */
function accessOf(name: ServiceName, mongodb: MongodbAccess, nats: NatsAccess): NodeJS.ProcessEnv {
  const passwordFile = nats.passwordFileOf(name);
  return {
    MONGODB_URL: mongodb.urlOf(name),
    NATS_URL: nats.urlOf(name),
    ...(passwordFile !== undefined && { NATS_PASSWORD_FILE: passwordFile }),
  };
}

interface RuntimeContext {
  ports: Ports;
  authority: CertificateAuthority;
  staff: CertificateFiles;
  environment: NodeJS.ProcessEnv;
  onFailure: (error: Error) => void;
}

async function prepareService(
  name: ServiceName,
  { directory, main }: StartOptions,
  { ports, authority, staff, environment, onFailure }: RuntimeContext,
): Promise<ServiceProcess> {
  const certificate = await issueCertificate(authority, { role: 'service', name });
  const publicAddress = `127.0.0.1:${ports[`${name} public`]}`;
  const internalAddress = `127.0.0.1:${ports[`${name} internal`]}`;
  return new ServiceProcess({
    name,
    main: main?.(name) ?? join(repository, 'services', name, 'main.ts'),
    workingDirectory: repository,
    directory: join(directory, 'services', name),
    logFile: join(directory, 'logs', `${name}.log`),
    publicAddress,
    internalAddress,
    ca: authority.certificateFile,
    staff,
    onUnexpectedExit: onFailure,
    environment: {
      ...environment,
      PUBLIC_ADDRESS: publicAddress,
      INTERNAL_ADDRESS: internalAddress,
      METRICS_ADDRESS: metricsAddress(name, ports),
      ...(name === 'project' && { EDGE_ADDRESS: edgeAddress(ports) }),
      TLS_CA: authority.certificateFile,
      TLS_CERT: certificate.certificate,
      TLS_KEY: certificate.key,
    },
  });
}

function metricsAddress(name: ServiceName, ports: Ports): string {
  return `127.0.0.1:${ports[`${name} metrics`]}`;
}

function edgeAddress(ports: Ports): string {
  return `127.0.0.1:${ports['http edge']}`;
}

/** The environment of all services; keeps variables that are already set. */
function sharedEnvironment({ directory, environment }: StartOptions, ports: Ports) {
  const defaults = {
    // Compiling takes half of a service's start.
    NODE_COMPILE_CACHE: join(directory, 'compile-cache'),
    REGION: 'us',
    MONGODB_DATABASE_PREFIX: 'silo',
    NATS_SUBJECT_PREFIX: 'silo.v1',
    NATS_STREAM: 'SILO',
    SIGNUP: 'open',
    LOG_LEVEL: 'info',
  };
  const addresses = serviceNames.map((name): [string, string] => [
    `${name.toUpperCase()}_INTERNAL_ADDRESS`,
    `127.0.0.1:${ports[`${name} internal`]}`,
  ]);
  return { ...defaults, ...environment, ...Object.fromEntries(addresses) };
}

/** Like Promise.all, but settles only when none of the promises is pending. */
async function allOrNothing<T extends readonly Promise<unknown>[]>(
  onFailure: (error: Error) => void,
  values: readonly [...T],
): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  for (const value of values) {
    value.catch((error) => onFailure(error instanceof Error ? error : new Error(String(error))));
  }
  await Promise.allSettled(values);
  return Promise.all(values);
}

function mapServices<T>(map: (name: ServiceName) => T): Record<ServiceName, T> {
  return { org: map('org'), project: map('project'), token: map('token'), billing: map('billing') };
}

function allServices({ services }: Parts): Record<ServiceName, ServiceProcess> {
  return mapServices((name) => {
    const service = services[name];
    if (!service) throw new Error(`service ${name} was never prepared`);
    return service;
  });
}

/** Ends what an earlier run left running: the clients of the servers first. */
async function reapAll(directory: string, log: Log): Promise<void> {
  const reap = (part: string) => reapOrphan(recordFileIn(join(directory, part)), { log });
  await Promise.all(serviceNames.map((name) => reap(join('services', name))));
  await Promise.all([reap('mongodb'), reap('nats')]);
}

async function stopAll(directory: string, parts: Parts, options?: StopOptions): Promise<void> {
  // Removed first, so that no client begins to use what is about to stop.
  await rm(endpointsFile(directory), { force: true });
  const patience = { graceMs: drainMs, ...options };
  const services = Object.values(parts.services);
  await Promise.all(services.map((service) => service.stop(patience)));
  await Promise.all([parts.mongod?.stop(patience), parts.natsServer?.stop(patience)]);
}

function forceAll(parts: Parts): void {
  for (const service of Object.values(parts.services)) service.kill('SIGKILL');
  parts.mongod?.process.kill('SIGKILL');
  parts.natsServer?.process.kill('SIGKILL');
}
