import { randomBytes } from 'node:crypto';
import { billingService } from '@silo/billing-service/service.ts';
import { freePort } from '@silo/embedded/ports.ts';
import { orgService } from '@silo/org-service/service.ts';
import { projectService } from '@silo/project-service/service.ts';
import { silentLogger } from '@silo/runtime/log.ts';
import { type ServiceConfig, type ServiceName, serviceNames } from '@silo/service/config.ts';
import type { ServiceDefinition } from '@silo/service/kit.ts';
import { startService } from '@silo/service/start.ts';
import { tokenService } from '@silo/token-service/service.ts';
import { MongoClient } from 'mongodb';
import { certificate } from './certificates.ts';
import { type Clients, connectClients } from './clients.ts';
import { countPermits, type PermitCount } from './counted-permits.ts';
import { required } from './environment.ts';

const definitions: Record<ServiceName, ServiceDefinition> = {
  org: orgService,
  project: projectService,
  token: tokenService,
  billing: billingService,
};

/** The four services in this process, on the run's real servers, in databases of their own. */
export type TestSilo = AsyncDisposable &
  Clients & {
    /** Of the databases: `<prefix>_<service>`. */
    databasePrefix: string;
    natsUrl: string;
    natsStream: string;
    /** Events are under `<prefix>.<service>.<event>.<id>`. */
    natsSubjectPrefix: string;
    mongo: MongoClient;
    /** Of all four services. */
    permits: PermitCount;
  };

/** Starts the four services; disposing stops them and drops their databases. */
export async function startTestSilo(
  settings: Partial<Pick<ServiceConfig, 'signup'>> = {},
): Promise<TestSilo> {
  const id = randomBytes(4).toString('hex');
  const shared = {
    region: 'us',
    mongodbUrl: required('MONGODB_URL'),
    mongodbDatabasePrefix: `test_${id}`,
    natsUrl: required('NATS_URL'),
    natsStream: `TEST_${id}`,
    natsSubjectPrefix: `test-${id}.v1`,
    signup: 'open',
    leaseMs: 5_000,
    leaseRenewMs: 1_500,
    leaseDriftShare: 0.01,
    logLevel: 'silent',
    metricsAddress: undefined,
    ...settings,
  } as const;
  const ports = await internalPorts();
  const address = (name: ServiceName) => `127.0.0.1:${ports[name]}`;
  const stop = new AbortController();
  const mongo = new MongoClient(shared.mongodbUrl);
  const permits: PermitCount = { taken: 0, held: 0 };
  const running = await Promise.all(
    serviceNames.map(async (name) => {
      const tls = certificate(`service-${name}`);
      const config: ServiceConfig = {
        ...shared,
        publicAddress: { host: '127.0.0.1', port: 0 },
        internalAddress: { host: '127.0.0.1', port: ports[name] },
        tlsCa: tls.ca,
        tlsCert: tls.cert,
        tlsKey: tls.key,
        orgInternalAddress: address('org'),
        projectInternalAddress: address('project'),
        tokenInternalAddress: address('token'),
        billingInternalAddress: address('billing'),
      };
      return await startService(definitions[name], config, {
        log: silentLogger(),
        signal: stop.signal,
        alterAccess: (access) => countPermits(access, permits),
      });
    }),
  );
  const addresses = Object.fromEntries(
    running.map((each) => [
      each.name,
      { public: each.publicAddress, internal: each.internalAddress },
    ]),
  ) as Clients['addresses'];
  const clients = connectClients(addresses);
  const dispose = async () => {
    clients.close();
    stop.abort();
    await Promise.all(running.map((each) => each[Symbol.asyncDispose]()));
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
    [Symbol.asyncDispose]: dispose,
  };
}

async function internalPorts(): Promise<Record<ServiceName, number>> {
  const ports = await Promise.all(serviceNames.map(() => freePort()));
  return Object.fromEntries(serviceNames.map((name, index) => [name, ports[index]])) as Record<
    ServiceName,
    number
  >;
}
