import { randomBytes } from 'node:crypto';
import { billingService } from '@silo/billing-service/service.ts';
import { freePort } from '@silo/embedded/ports.ts';
import { orgService } from '@silo/org-service/service.ts';
import { projectService } from '@silo/project-service/service.ts';
import { silentLogger } from '@silo/runtime/log.ts';
import { type ServiceConfig, type ServiceName, serviceNames } from '@silo/service/config.ts';
import type { ServiceDefinition } from '@silo/service/service-definition.ts';
import { type RunningService, startService } from '@silo/service/start.ts';
import { tokenService } from '@silo/token-service/service.ts';
import { MongoClient } from 'mongodb';
import { certificate, certificates } from './certificates.ts';
import { type Clients, connectClients } from './clients.ts';
import { countPermits, type PermitCount } from './counted-permits.ts';
import { required } from './environment.ts';
import { eventually } from './eventually.ts';
import { generousLimits } from './limits.ts';

const definitions: Record<ServiceName, ServiceDefinition> = {
  org: orgService,
  project: projectService,
  token: tokenService,
  billing: billingService,
};

/** The four services in this process, on the run's real servers, with their own databases. */
export type TestSilo = AsyncDisposable &
  Clients & {
    /** Prefix of the databases: `<prefix>_<service>`. */
    databasePrefix: string;
    natsUrl: string;
    natsStream: string;
    /** Events are under `<prefix>.<service>.<event>.<id>`. */
    natsSubjectPrefix: string;
    mongo: MongoClient;
    /** The count of permits in all four services. */
    permits: PermitCount;
    start(name: ServiceName): Promise<void>;
    /** Stops a service in an orderly way. */
    stop(name: ServiceName): Promise<void>;
    /** The internal ports of both replicas of token, in the form of gRPC. */
    tokenTarget: string;
    /** The URLs of each replica's metrics, with the setting `servesMetrics`. */
    metricsUrls: readonly string[];
    /** Starts the HTTP edge as a separate process, `ROLE=edge`; returns its URL. */
    startEdge(): Promise<string>;
    /** A second replica of token; disposed of with the deployment. */
    startSecondToken(): Promise<RunningService>;
  };

/** Settings that a test may change. */
type Settings = Partial<
  Pick<
    ServiceConfig,
    | 'signup'
    | 'natsUrl'
    | 'natsTlsCa'
    | 'natsStream'
    | 'natsSubjectPrefix'
    | 'leaseMs'
    | 'edgeAddress'
    | 'edgeTrustedProxies'
    | 'edgeHeldBytes'
    | 'leaseRenewMs'
    | 'region'
    | 'regionAddresses'
    | keyof typeof generousLimits
  >
> & {
  /** A URL for each service's own user, in place of `natsUrl`. */
  natsUrlOf?: (name: ServiceName) => string;
  servesMetrics?: boolean;
};

/** Starts the four services; disposing stops them and drops their databases. */
export async function startTestSilo(settings: Settings = {}): Promise<TestSilo> {
  const silo = await prepareTestSilo(settings);
  await startAll(silo);
  return silo;
}

/** Starts the services of a prepared deployment. */
export async function startAll(silo: TestSilo): Promise<void> {
  await Promise.all(serviceNames.map((name) => silo.start(name)));
  // Before its first renewal a guard has no read lease, and its service refuses mutations.
  const leases = silo.mongo.db(`${silo.databasePrefix}_token`).collection('guard_leases');
  await eventually(async () => {
    const renewed = await leases.countDocuments({ version: { $gt: 0 } });
    if (renewed < serviceNames.length) throw new Error(`${renewed} guards have renewed a lease`);
  });
}

/** A deployment whose services the test starts. */
export async function prepareTestSilo({
  natsUrlOf,
  servesMetrics = false,
  ...settings
}: Settings = {}): Promise<TestSilo> {
  const id = randomBytes(4).toString('hex');
  const shared: Omit<ServiceConfig, `${string}Address` | 'tlsCa' | 'tlsCert' | 'tlsKey'> & {
    metricsAddress: undefined;
    edgeAddress: ServiceConfig['edgeAddress'];
  } = {
    region: 'us',
    regionAddresses: new Map(),
    role: 'service',
    mongodbUrl: required('MONGODB_URL'),
    mongodbUrlFile: undefined,
    mongodbDatabasePrefix: `test_${id}`,
    natsUrl: required('NATS_URL'),
    natsPasswordFile: undefined,
    natsTlsCa: undefined,
    regionTlsCa: undefined,
    natsStream: `TEST_${id}`,
    natsSubjectPrefix: `test-${id}.v1`,
    signup: 'open',
    // As long as possible, so that a guard on a busy machine keeps its read lease.
    leaseMs: 20_000,
    leaseRenewMs: 2_000,
    leaseDriftShare: 0.01,
    logLevel: 'silent',
    logFormat: 'json',
    otelSdkDisabled: 'false',
    otelTracesExporter: undefined,
    otelExporterOtlpEndpoint: undefined,
    otelExporterOtlpTracesEndpoint: undefined,
    metricsAddress: undefined,
    edgeTrustedProxies: '',
    edgeHeldBytes: 32 * 2 ** 20,
    ...generousLimits,
    edgeAddress: undefined,
    ...settings,
  };
  const addresses = await chooseAddresses();
  // One of two replicas: if one does not answer, the other does.
  const secondToken = `127.0.0.1:${await freePort()}`;
  const tokenTarget = `ipv4:${addresses.token.internal},${secondToken}`;
  const mongo = new MongoClient(required('MONGODB_URL'));
  const permits: PermitCount = { taken: 0, held: 0 };
  const running = new Map<ServiceName, RunningService>();
  const replicas: RunningService[] = [];
  const stop = new AbortController();
  const metricsUrls: string[] = [];
  const openMetrics = async () => {
    const metricsAddress = { host: '127.0.0.1', port: await freePort() };
    metricsUrls.push(`http://127.0.0.1:${metricsAddress.port}/metrics`);
    return { metricsAddress };
  };
  const launch = async (
    name: ServiceName,
    publicAddress: string,
    internalAddress: string,
    altered: Partial<Pick<ServiceConfig, 'role' | 'edgeAddress'>> = {},
  ) => {
    const tls = certificate(`service-${name}`, certificates(shared.region));
    const config: ServiceConfig = {
      ...shared,
      natsUrl: natsUrlOf?.(name) ?? shared.natsUrl,
      publicAddress: hostPortOf(publicAddress),
      internalAddress: hostPortOf(internalAddress),
      ...{ tlsCa: tls.ca, tlsCert: tls.cert, tlsKey: tls.key },
      orgInternalAddress: addresses.org.internal,
      projectInternalAddress: addresses.project.internal,
      tokenInternalAddress: tokenTarget,
      billingInternalAddress: addresses.billing.internal,
      ...(servesMetrics && (await openMetrics())),
      ...altered,
    };
    return await startService(definitions[name], config, {
      log: silentLogger(),
      signal: stop.signal,
      alterAccess: (access) => countPermits(access, permits),
    });
  };
  const start = async (name: ServiceName) => {
    const { public: outer, internal: inner } = addresses[name];
    running.set(name, await launch(name, outer, inner));
  };
  const stopService = async (name: ServiceName) => {
    const service = running.get(name);
    running.delete(name);
    await service?.[Symbol.asyncDispose]();
  };
  const staff = certificate('staff-operator', certificates(shared.region));
  const clients = connectClients(addresses, staff, { isSteady: true });
  const dispose = async () => {
    clients.close();
    stop.abort();
    const all = [...running.values(), ...replicas];
    await Promise.all(all.map((each) => each[Symbol.asyncDispose]()));
    for (const name of serviceNames) {
      await mongo.db(`${shared.mongodbDatabasePrefix}_${name}`).dropDatabase();
    }
    await mongo.close();
  };
  return {
    ...clients,
    databasePrefix: shared.mongodbDatabasePrefix,
    natsUrl: shared.natsUrl,
    natsStream: shared.natsStream,
    natsSubjectPrefix: shared.natsSubjectPrefix,
    mongo,
    permits,
    metricsUrls,
    start,
    stop: stopService,
    tokenTarget,
    startEdge: async () => {
      const edgeAddress = { host: '127.0.0.1', port: await freePort() };
      const [anyPort, altered] = ['127.0.0.1:0', { role: 'edge', edgeAddress } as const];
      replicas.push(await launch('project', anyPort, anyPort, altered));
      return `http://127.0.0.1:${edgeAddress.port}`;
    },
    startSecondToken: async () => {
      const replica = await launch('token', '127.0.0.1:0', secondToken);
      replicas.push(replica);
      return replica;
    },
    [Symbol.asyncDispose]: dispose,
  };
}

async function chooseAddresses(): Promise<Clients['addresses']> {
  const choose = async () => ({
    public: `127.0.0.1:${await freePort()}`,
    internal: `127.0.0.1:${await freePort()}`,
  });
  const [org, project, token, billing] = [
    await choose(),
    await choose(),
    await choose(),
    await choose(),
  ];
  return { org, project, token, billing };
}

function hostPortOf(address: string): { host: string; port: number } {
  const [host = '', port] = address.split(':');
  return { host, port: Number(port) };
}
