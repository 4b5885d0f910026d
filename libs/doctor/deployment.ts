import type { NatsServers } from '@silo/events/nats-options.ts';
import type { StreamOptions } from '@silo/events/stream.ts';
import type { MongoSource } from '@silo/mongo/connect.ts';
import type { ServiceTlsFiles } from '@silo/rpc/tls.ts';
import { type Environment, readConfig, string } from '@silo/runtime/config.ts';
import { mongodbFaults, type ServiceName, serviceConfigSpec } from '@silo/service/config.ts';

/** How an operator reaches the parts of a deployment. */
export type Deployment = {
  /** Addresses of the internal ports: `host:port`, or several in a form that gRPC accepts. */
  addresses: Record<ServiceName, string>;
  /**
   * Addresses of the internal ports of processes with `ROLE=edge`; undefined if there are none to
   * check.
   */
  edge?: string | undefined;
  /** The CA, the CA of other regions, and a certificate of role `staff`. */
  tls: ServiceTlsFiles;
  /** A user that may read all databases and the settings of the server. */
  mongodb: MongoSource & { databasePrefix: string };
  /** A user that may read the stream's configuration. */
  nats: NatsServers;
  stream: StreamOptions;
  /** The addresses of project in the other regions, by region. */
  regions: ReadonlyMap<string, string>;
};

const {
  tlsCa,
  tlsCert,
  tlsKey,
  mongodbUrl,
  mongodbUrlFile,
  mongodbDatabasePrefix,
  natsUrl,
  natsPasswordFile,
  natsTlsCa,
  natsStream,
  natsSubjectPrefix,
  orgInternalAddress,
  projectInternalAddress,
  tokenInternalAddress,
  billingInternalAddress,
  regionAddresses,
  regionTlsCa,
} = serviceConfigSpec.shape;

/**
 * The settings that locate the parts of a deployment, with the names that services use; and the
 * addresses of edges, which no service calls.
 * @internal Exported for the check of the Helm chart.
 */
export const deploymentSpec = {
  shape: {
    ...{ tlsCa, tlsCert, tlsKey },
    ...{ mongodbUrl, mongodbUrlFile, mongodbDatabasePrefix },
    ...{ natsUrl, natsPasswordFile, natsTlsCa, natsStream, natsSubjectPrefix },
    ...{ orgInternalAddress, projectInternalAddress, tokenInternalAddress, billingInternalAddress },
    edgeInternalAddress: string().optional(),
    ...{ regionAddresses, regionTlsCa },
  },
  check: mongodbFaults,
};

/**
 * Reads the deployment from the environment, by the names of services' settings; returns all faults
 * if there are any.
 */
export function deploymentIn(
  environment: Environment,
): { deployment: Deployment } | { faults: string[] } {
  const read = readConfig(environment, deploymentSpec);
  if ('faults' in read) return read;
  const { config } = read;
  return {
    deployment: {
      addresses: {
        org: config.orgInternalAddress,
        project: config.projectInternalAddress,
        token: config.tokenInternalAddress,
        billing: config.billingInternalAddress,
      },
      edge: config.edgeInternalAddress,
      tls: {
        ...{ ca: config.tlsCa, cert: config.tlsCert, key: config.tlsKey },
        regionCa: config.regionTlsCa,
      },
      mongodb: {
        url: config.mongodbUrl,
        urlFile: config.mongodbUrlFile,
        databasePrefix: config.mongodbDatabasePrefix,
      },
      nats: {
        url: config.natsUrl,
        passwordFile: config.natsPasswordFile,
        caFile: config.natsTlsCa,
      },
      stream: { name: config.natsStream, subjectPrefix: config.natsSubjectPrefix },
      regions: config.regionAddresses,
    },
  };
}
