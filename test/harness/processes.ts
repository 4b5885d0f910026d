import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import {
  type CertificateAuthority,
  issueCertificate,
  openCertificateAuthority,
} from '@silo/embedded/certificates.ts';
import type { MongodbAccess } from '@silo/embedded/mongod-users.ts';
import { type NatsServer, startNatsServer } from '@silo/embedded/nats-server.ts';
import type { NatsUser } from '@silo/embedded/nats-users.ts';
import { freePort } from '@silo/embedded/ports.ts';
import { ServiceProcess } from '@silo/embedded/service-process.ts';
import type { TlsFiles } from '@silo/rpc/tls.ts';
import { type ServiceName, serviceNames } from '@silo/service/config.ts';
import type { Region } from '@silo/tokens/ids.ts';
import { MongoClient } from 'mongodb';
import type { Deployment } from '../invariants/snapshot.ts';
import { type Addresses, type Clients, connectClients } from './clients.ts';
import { required } from './environment.ts';
import { generousLimitVariables } from './limits.ts';
import { quickestPlace } from './quickest-place.ts';
import { RestartableServer } from './restartable-server.ts';
import { TcpProxy } from './tcp-proxy.ts';

const repository = resolve(import.meta.dirname, '..', '..');
const stopGraceMs = 5_000;

/**
 * Shared by all processes of a run. Outside of `npm test` it is Node's default, which outlives a
 * run.
 */
export const compileCache = process.env.NODE_COMPILE_CACHE ?? join(tmpdir(), 'node-compile-cache');

/** What the services need from a MongoDB: a URL for each of them, and one for the test. */
type Mongodb = AsyncDisposable & MongodbAccess & { url: string };

export type ProcessOptions<M extends Mongodb> = {
  /** Starts the MongoDB of this deployment, with its files in `directory`. */
  startMongodb(directory: string): Promise<M>;
  /** Number of processes of a service; default 1. */
  replicas?: Partial<Record<ServiceName, number>>;
  /**
   * Opens an HTTP edge in each process of project, and in this number of processes with
   * `ROLE=edge`; default: no edge.
   */
  edges?: number | undefined;
  /** Settings of the services in addition to those that every deployment needs. */
  environment?: Record<string, string>;
  /** One NATS user for all services; by default each has its own. */
  natsUser?: NatsUser | undefined;
  /** The region, and the CA of its certificates; default: `us`, and a new CA. */
  region?: { name: Region; authority: CertificateAuthority } | undefined;
  /** The file that Node runs for every process, or for each; default `services/<name>/main.ts`. */
  main?: string | ((process: { id: string; service: ServiceName }) => string) | undefined;
};

/** An HTTP edge, and the process that it ends with. */
export type EdgeProcess = { url: string; metricsUrl: string; process: ServiceProcess };

/** The four services as processes that a test can kill and pause, with their own servers. */
export type SiloProcesses<M extends Mongodb> = AsyncDisposable &
  Clients &
  Deployment & {
    /** Directory of all files of the deployment; removed when it is disposed of. */
    directory: string;
    mongod: M;
    natsServer: RestartableServer<NatsServer>;
    services: Readonly<Record<ServiceName, readonly [ServiceProcess, ...ServiceProcess[]]>>;
    /** The edges in the project service first, then the separate ones. */
    edges: readonly EdgeProcess[];
    /**
     * The addresses by which services call each other: a service's internal port, or a proxy in
     * front of its replicas.
     */
    internalAddresses: Readonly<Record<ServiceName, string>>;
    /** The addresses of every service's replica with this index, modulo the number of replicas. */
    addressesOf(replica: number): Addresses;
    certificates: { staff: TlsFiles; guard: TlsFiles };
    /** An error for each process that exited without being stopped. */
    failures: readonly Error[];
  };

/** Starts a MongoDB, a nats-server and the services, and returns when all of them serve. */
export async function startSiloProcesses<M extends Mongodb>(
  options: ProcessOptions<M>,
): Promise<SiloProcesses<M>> {
  const { replicas = {} } = options;
  const directory = await mkdtemp(join(await quickestPlace(), 'silo-processes-'));
  await using started = new AsyncDisposableStack();
  started.defer(() => rm(directory, { recursive: true, force: true }));
  const [mongod, natsServer, certificate] = await Promise.all([
    options.startMongodb(join(directory, 'mongodb')).then((server) => started.use(server)),
    startNats(directory).then((server) => started.use(server)),
    openCertificates(directory, options.region),
  ]);
  const staff = await certificate('staff', 'operator');
  const failures: Error[] = [];
  const addresses = {} as Record<ServiceName, Addresses[ServiceName][]>;
  const internalAddresses = {} as Record<ServiceName, string>;
  for (const name of serviceNames) {
    addresses[name] = await chooseAddresses(replicas[name] ?? 1);
    const [first, ...others] = addresses[name].map(({ internal }) => internal);
    internalAddresses[name] =
      first !== undefined && others.length === 0
        ? first
        : started.use(await TcpProxy.start([first ?? '', ...others].map(portOf))).address;
  }
  const peers = serviceNames.map((name) => [variableOf(name), internalAddresses[name]]);
  const certificates = {} as Record<ServiceName, TlsFiles>;
  for (const name of serviceNames) certificates[name] = await certificate('service', name);
  const mainOf = (id: string, service: ServiceName) => {
    const { main } = options;
    if (typeof main === 'function') return main({ id, service });
    return main ?? join(repository, 'services', service, 'main.ts');
  };
  const processOf = (
    name: ServiceName,
    id: string,
    address: Addresses[ServiceName],
    environment: Record<string, string> = {},
  ) => {
    const tls = certificates[name];
    return new ServiceProcess({
      name: id,
      main: mainOf(id, name),
      workingDirectory: repository,
      directory: join(directory, 'services', id),
      logFile: join(directory, 'logs', `${id}.log`),
      publicAddress: address.public,
      internalAddress: address.internal,
      ca: tls.ca,
      staff: { certificate: staff.cert, key: staff.key },
      onUnexpectedExit: (error) => failures.push(error),
      environment: {
        ...process.env,
        ...generousLimitVariables,
        NODE_COMPILE_CACHE: compileCache,
        REGION: options.region?.name ?? 'us',
        MONGODB_URL: mongod.urlOf(name),
        NATS_URL: natsServer.urlOf(options.natsUser ?? name),
        MONGODB_DATABASE_PREFIX: 'silo',
        PUBLIC_ADDRESS: address.public,
        INTERNAL_ADDRESS: address.internal,
        TLS_CA: tls.ca,
        TLS_CERT: tls.cert,
        TLS_KEY: tls.key,
        ...Object.fromEntries(peers),
        LOG_LEVEL: 'warn',
        ...options.environment,
        ...environment,
      },
    });
  };
  const edges: EdgeProcess[] = [];
  const edgeOf = async (id: string, address: Addresses['project'], environment = {}) => {
    const [at, metricsAt] = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`];
    const addresses = { EDGE_ADDRESS: at, METRICS_ADDRESS: metricsAt };
    const process = processOf('project', id, address, { ...addresses, ...environment });
    edges.push({ url: `http://${at}`, metricsUrl: `http://${metricsAt}/metrics`, process });
    return process;
  };
  const services = {} as Record<ServiceName, [ServiceProcess, ...ServiceProcess[]]>;
  for (const name of serviceNames) {
    const processes: ServiceProcess[] = [];
    for (const [index, address] of addresses[name].entries()) {
      const id = `${name}-${index}`;
      const hasEdge = name === 'project' && options.edges !== undefined;
      processes.push(hasEdge ? await edgeOf(id, address) : processOf(name, id, address));
    }
    services[name] = processes as [ServiceProcess, ...ServiceProcess[]];
  }
  for (const [index, address] of (await chooseAddresses(options.edges ?? 0)).entries()) {
    await edgeOf(`edge-${index}`, address, { ROLE: 'edge' });
  }
  const all = [
    ...new Set([...Object.values(services).flat(), ...edges.map((edge) => edge.process)]),
  ];
  started.defer(async () => {
    await Promise.all(all.map((service) => service.stop({ graceMs: stopGraceMs })));
  });
  await Promise.all(all.map((service) => service.start()));
  const addressesOf = (replica: number) => {
    const entries = serviceNames.map((name) => {
      const of = addresses[name];
      return [name, of[replica % of.length]];
    });
    return Object.fromEntries(entries) as Addresses;
  };
  const clients = started.adopt(connectClients(addressesOf(0), staff), (each) => each.close());
  const mongo = started.adopt(new MongoClient(mongod.url), (client) => client.close());
  const guard = await certificate('guard', 'edge');
  const running = started.move();
  return {
    ...clients,
    ...{ directory, mongod, natsServer, services, edges, internalAddresses },
    ...{ addressesOf, failures, mongo },
    certificates: { staff, guard },
    databasePrefix: 'silo',
    natsUrl: natsServer.url,
    natsStream: 'SILO',
    natsSubjectPrefix: 'silo.v1',
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

function startNats(directory: string): Promise<RestartableServer<NatsServer>> {
  const binary = required('NATS_SERVER_BINARY');
  return RestartableServer.start((port) =>
    startNatsServer({ binary, directory: join(directory, 'nats'), port }),
  );
}

/** Issues certificates of the region. */
async function openCertificates(directory: string, region: ProcessOptions<Mongodb>['region']) {
  const own = join(directory, 'certificates');
  const authority =
    region === undefined
      ? await openCertificateAuthority(own, { region: 'us' })
      : { ...region.authority, region: region.name, directory: own };
  return async (role: 'service' | 'guard' | 'staff', name: string): Promise<TlsFiles> => {
    const { certificate: cert, key } = await issueCertificate(authority, { role, name });
    return { ca: authority.certificateFile, cert, key };
  };
}

async function chooseAddresses(count: number): Promise<Addresses[ServiceName][]> {
  const chosen: Addresses[ServiceName][] = [];
  while (chosen.length < count) {
    const [outer, internal] = await Promise.all([freePort(), freePort()]);
    chosen.push({ public: `127.0.0.1:${outer}`, internal: `127.0.0.1:${internal}` });
  }
  return chosen;
}

function variableOf(name: ServiceName): string {
  return `${name.toUpperCase()}_INTERNAL_ADDRESS`;
}

export function portOf(address: string): number {
  return Number(address.split(':').at(-1));
}
