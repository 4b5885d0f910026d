import type { NatsServers } from '@silo/events/nats-options.ts';
import type { StreamOptions } from '@silo/events/stream.ts';
import type { MongoSource } from '@silo/mongo/connect.ts';
import type { TlsFiles } from '@silo/rpc/tls.ts';
import { type Environment, readConfig } from '@silo/runtime/config.ts';
import { mongodbFaults, type ServiceName, serviceConfigSpec } from '@silo/service/config.ts';

/** What an operator has of a deployment. */
export type Deployment = {
  /** Of the internal ports: `host:port`, or as gRPC takes several. */
  addresses: Record<ServiceName, string>;
  /** The CA, and a certificate of role `staff`. */
  tls: TlsFiles;
  /** A user that reads all databases and the settings of the server. */
  mongodb: MongoSource & { databasePrefix: string };
  /** A user that reads the stream's configuration. */
  nats: NatsServers;
  stream: StreamOptions;
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
} = serviceConfigSpec.shape;

/** The settings of services that locate things, by the same names. */
const shape = {
  ...{ tlsCa, tlsCert, tlsKey },
  ...{ mongodbUrl, mongodbUrlFile, mongodbDatabasePrefix },
  ...{ natsUrl, natsPasswordFile, natsTlsCa, natsStream, natsSubjectPrefix },
  ...{ orgInternalAddress, projectInternalAddress, tokenInternalAddress, billingInternalAddress },
};

/** The deployment that the environment describes, by the names of services' settings, or all faults. */
export function deploymentIn(
  environment: Environment,
): { deployment: Deployment } | { faults: string[] } {
  const read = readConfig(environment, { shape, check: mongodbFaults });
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
      tls: { ca: config.tlsCa, cert: config.tlsCert, key: config.tlsKey },
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
    },
  };
}
