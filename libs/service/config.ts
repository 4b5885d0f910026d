import { type ConfigOf, file, hostPort, oneOf, string, url } from '@silo/runtime/config.ts';

export const serviceNames = ['org', 'project', 'token', 'billing'] as const;
export type ServiceName = (typeof serviceNames)[number];

/** What every service reads from its environment, each from the variable that its key names. */
export const serviceConfigShape = {
  region: oneOf('us', 'eu').default('us'),
  publicAddress: hostPort(),
  internalAddress: hostPort(),
  /** TLS of both ports, and of every client: the deployment's CA, and this service's own. */
  tlsCa: file(),
  tlsCert: file(),
  tlsKey: file(),
  mongodbUrl: url('mongodb', 'mongodb+srv'),
  /** The service's database is `<prefix>_<service>`. */
  mongodbDatabasePrefix: string().default('silo'),
  natsUrl: url('nats', 'tls'),
  natsStream: string().default('SILO'),
  natsSubjectPrefix: string().default('silo.v1'),
  orgInternalAddress: string(),
  projectInternalAddress: string(),
  tokenInternalAddress: string(),
  billingInternalAddress: string(),
  /** Whether people may sign up by themselves; else only staff makes accounts. */
  signup: oneOf('open', 'closed').default('open'),
  logLevel: oneOf('trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent').default('info'),
  /** Where Prometheus reads metrics, `host:port`; unset: nowhere. */
  metricsAddress: hostPort().optional(),
};

export type ServiceConfig = ConfigOf<typeof serviceConfigShape>;
