import type { NatsServers } from '@silo/events/nats-options.ts';
import type { StreamOptions } from '@silo/events/stream.ts';
import type { MongoSource } from '@silo/mongo/connect.ts';
import type { ServiceTlsFiles } from '@silo/rpc/tls.ts';
import { type Environment, readConfig, string } from '@silo/runtime/config.ts';
import { mongodbFaults, type ServiceName, serviceConfigSpec } from '@silo/service/config.ts';

/** What an operator has of a deployment. */
export type Deployment = {
  /** Of the internal ports: `host:port`, or as gRPC takes several. */
  addresses: Record<ServiceName, string>;
  /** Of the internal ports of processes with `ROLE=edge`; undefined: there are none, or none to look at. */
  edge?: string | undefined;
  /** The CA, that of other regions, and a certificate of role `staff`. */
  tls: ServiceTlsFiles;
  /** A user that reads all databases and the settings of the server. */
  mongodb: MongoSource & { databasePrefix: string };
  /** A user that reads the stream's configuration. */
  nats: NatsServers;
  stream: StreamOptions;
  /** Of project in the other regions, by region. */
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
 * The settings of services that locate things, by the same names, and where edges are, which no
 * service calls.
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

/** The deployment that the environment describes, by the names of services' settings, or all faults. */
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
