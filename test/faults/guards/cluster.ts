import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { issueCertificate, openCertificateAuthority } from '@silo/embedded/certificates.ts';
import { type MongodSet, startMongodSet } from '@silo/embedded/mongod.ts';
import { type NatsServer, startNatsServer } from '@silo/embedded/nats-server.ts';
import { freePort } from '@silo/embedded/ports.ts';
import { ServiceProcess } from '@silo/embedded/service-process.ts';
import type { TlsFiles } from '@silo/rpc/tls.ts';
import { type ServiceName, serviceNames } from '@silo/service/config.ts';
import { MongoClient } from 'mongodb';
import type { Addresses } from '../../harness/clients.ts';
import { generousLimitVariables } from '../../harness/limits.ts';
import { quickestPlace } from '../../harness/quickest-place.ts';
import { Yardstick } from '../../harness/yardstick.ts';
import type { Deployment } from '../../invariants/snapshot.ts';
import { RestartableServer } from '../restartable-server.ts';
import { TcpProxy } from './tcp-proxy.ts';

const repository = resolve(import.meta.dirname, '..', '..', '..');

/** Two dozen processes start, some of them often. Unless told, Node's own place, which outlives a run. */
export const compileCache = process.env.NODE_COMPILE_CACHE ?? join(tmpdir(), 'node-compile-cache');

export type ClusterOptions = {
  binaries: { mongod: string; natsServer: string };
  /** How many of each; one where nothing is said. */
  replicas: Partial<Record<ServiceName, number>>;
  /** The registry's numbers. */
  lease: { leaseMs: number; renewMs: number };
};

/** A deployment of several processes on one machine, each of which may be killed or stopped. */
export type Cluster = AsyncDisposable &
  Deployment & {
    directory: string;
    mongod: MongodSet;
    nats: RestartableServer<NatsServer>;
    services: Readonly<Record<ServiceName, readonly ServiceProcess[]>>;
    /** The internal ports of a service's replicas. */
    internalPorts(name: ServiceName): number[];
    /** Internal addresses behind which a service's replicas stand. */
    entries: Readonly<Record<ServiceName, string>>;
    /** Where callers find the services that use these replicas; the first unless named. */
    addresses(replica?: number): Addresses;
    certificates: { staff: TlsFiles; guard: TlsFiles };
    /** Processes that ended by themselves. */
    failures: Error[];
    /** How fast the machine is: what promises in time are judged by. */
    yardstick: Yardstick;
  };

/** Starts three mongod, a nats-server and the services; disposing removes what they stored. */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const { binaries, replicas, lease } = options;
  const directory = await mkdtemp(join(await quickestPlace(), 'silo-cluster-'));
  await using started = new AsyncDisposableStack();
  started.defer(() => rm(directory, { recursive: true, force: true }));
  const authority = await openCertificateAuthority(join(directory, 'certificates'), {
    region: 'us',
  });
  const certificate = async (role: 'service' | 'guard' | 'staff', name: string) => {
    const files = await issueCertificate(authority, { role, name });
    return { ca: authority.certificateFile, cert: files.certificate, key: files.key };
  };
  const [mongod, nats] = await Promise.all([
    startMongodSet({
      binary: binaries.mongod,
      directory: join(directory, 'mongodb'),
      cacheSizeGB: 0.25,
      enableTestCommands: true,
      // A killed process's transaction is given up soon.
      setParameters: { transactionLifetimeLimitSeconds: '2' },
    }).then((set) => started.use(set)),
    RestartableServer.start((port) =>
      startNatsServer({ binary: binaries.natsServer, directory: join(directory, 'nats'), port }),
    ).then((server) => started.use(server)),
  ]);
  const staff = await certificate('staff', 'operator');
  const failures: Error[] = [];
  const services = {} as Record<ServiceName, ServiceProcess[]>;
  const entries = {} as Record<ServiceName, string>;
  const ports = new Map<ServiceName, number[]>();
  for (const name of serviceNames) {
    const count = replicas[name] ?? 1;
    const internal = await Promise.all(Array.from({ length: count }, () => freePort()));
    ports.set(name, internal);
    entries[name] = started.use(await TcpProxy.start(internal)).address;
  }
  for (const name of serviceNames) {
    const tls = await certificate('service', name);
    services[name] = [];
    for (const [index, port] of (ports.get(name) ?? []).entries()) {
      const publicAddress = `127.0.0.1:${await freePort()}`;
      const internalAddress = `127.0.0.1:${port}`;
      const service = new ServiceProcess({
        name: `${name}-${index}`,
        main: join(repository, 'services', name, 'main.ts'),
        workingDirectory: repository,
        directory: join(directory, 'services', `${name}-${index}`),
        logFile: join(directory, 'logs', `${name}-${index}.log`),
        publicAddress,
        internalAddress,
        ca: tls.ca,
        staff: { certificate: staff.cert, key: staff.key },
        onUnexpectedExit: (error) => failures.push(error),
        environment: {
          ...process.env,
          ...generousLimitVariables,
          NODE_COMPILE_CACHE: compileCache,
          REGION: 'us',
          MONGODB_URL: mongod.urlOf(name),
          NATS_URL: nats.access.urlOf(name),
          MONGODB_DATABASE_PREFIX: 'silo',
          PUBLIC_ADDRESS: publicAddress,
          INTERNAL_ADDRESS: internalAddress,
          TLS_CA: tls.ca,
          TLS_CERT: tls.cert,
          TLS_KEY: tls.key,
          ...Object.fromEntries(
            serviceNames.map((peer) => [`${peer.toUpperCase()}_INTERNAL_ADDRESS`, entries[peer]]),
          ),
          LEASE_MS: String(lease.leaseMs),
          LEASE_RENEW_MS: String(lease.renewMs),
          LOG_LEVEL: 'warn',
        },
      });
      services[name].push(service);
    }
  }
  const all = Object.values(services).flat();
  started.defer(async () => {
    await Promise.all(all.map((service) => service.stop({ graceMs: 5_000 })));
  });
  await Promise.all(all.map((service) => service.start()));
  const mongo = started.adopt(new MongoClient(mongod.url), (client) => client.close());
  const yardstick = started.use(await Yardstick.start(mongo));
  const running = started.move();
  return {
    directory,
    mongod,
    nats,
    services,
    internalPorts: (name) => ports.get(name) ?? [],
    entries,
    addresses: (replica = 0) =>
      Object.fromEntries(
        serviceNames.map((name) => {
          const of = services[name][replica % services[name].length];
          return [name, { public: of?.publicAddress ?? '', internal: of?.internalAddress ?? '' }];
        }),
      ) as Addresses,
    certificates: { staff, guard: await certificate('guard', 'edge') },
    failures,
    yardstick,
    mongo,
    databasePrefix: 'silo',
    natsUrl: nats.url,
    natsStream: 'SILO',
    natsSubjectPrefix: 'silo.v1',
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}
