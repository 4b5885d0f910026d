import { checkLeaseNumbers, type LeaseNumbers } from '@silo/guard/core/settings.ts';
import { defaultLimits, type PortLimits } from '@silo/rpc/limits.ts';
import {
  type ConfigOf,
  type ConfigSpec,
  decimal,
  entries,
  file,
  hostPort,
  integer,
  oneOf,
  string,
  url,
} from '@silo/runtime/config.ts';

const { rates } = defaultLimits;

const regionNames = ['us', 'eu'] as const;
export type RegionName = (typeof regionNames)[number];
export const serviceNames = ['org', 'project', 'token', 'billing'] as const;
export type ServiceName = (typeof serviceNames)[number];

/** The limits of the ports, from the settings. */
export function portLimitsOf(config: ServiceConfig): PortLimits {
  return {
    connectionsMax: config.connectionsMax,
    connectionsPerAddressMax: config.connectionsPerAddressMax,
    rates: {
      windowMs: config.rateWindowMs,
      addressPoints: config.rateAddressPoints,
      accountCalls: config.rateAccountCalls,
      organizationCalls: config.rateOrganizationCalls,
      projectCaptures: config.rateProjectCaptures,
      signupsPerHour: config.rateSignupsPerHour,
    },
  };
}

/**
 * The settings that every service reads from its environment, each from the variable that its key
 * names.
 */
const serviceConfigShape = {
  region: oneOf(...regionNames).default('us'),
  /**
   * For project: the internal addresses of project in the other regions,
   * `eu=project.eu.example:7202`.
   */
  regionAddresses: entries(oneOf(...regionNames), 'a list like eu=host:port').default(new Map()),
  /** For project: `edge` serves the HTTP edge and no RPCs. */
  role: oneOf('service', 'edge').default('service'),
  publicAddress: hostPort(),
  internalAddress: hostPort(),
  /**
   * TLS of both ports, and of every client: the deployment's CA, and this service's own
   * certificate.
   */
  tlsCa: file(),
  tlsCert: file(),
  tlsKey: file(),
  /** For project: the CAs of the other regions, if they differ from those in tlsCa. */
  regionTlsCa: file().optional(),
  mongodbUrl: url('mongodb', 'mongodb+srv').optional(),
  /**
   * A file that contains the URL. It may be replaced, and so may the certificates that the URL
   * names.
   */
  mongodbUrlFile: file().optional(),
  /** The service's database is `<prefix>_<service>`. */
  mongodbDatabasePrefix: string().default('silo'),
  natsUrl: url('nats', 'tls'),
  /** A file with the password of the user in natsUrl; read for every connection. */
  natsPasswordFile: file().optional(),
  /** The CAs that may sign NATS's certificate; default: those that Node trusts. */
  natsTlsCa: file().optional(),
  natsStream: string().default('SILO'),
  natsSubjectPrefix: string().default('silo.v1'),
  orgInternalAddress: string(),
  projectInternalAddress: string(),
  tokenInternalAddress: string(),
  billingInternalAddress: string(),
  /** Whether people may sign up themselves; otherwise only staff creates accounts. */
  signup: oneOf('open', 'closed').default('open'),
  /** How long a barrier waits for an unresponsive guard; guards get it from the token service. */
  leaseMs: integer({ min: 500, max: 20_000 }).default(5_000),
  /** How often a lease is renewed. */
  leaseRenewMs: integer({ min: 50, max: 10_000 }).default(2_000),
  /** Maximum drift between the clocks of two machines, as a share of the time. */
  leaseDriftShare: decimal({ min: 0.001, max: 0.5 }).default(0.01),
  /** Limits of what callers may use of a process, on its public port unless stated otherwise. */
  connectionsMax: integer({ min: 16, max: 1_000_000 }).default(defaultLimits.connectionsMax),
  connectionsPerAddressMax: integer({ min: 1, max: 1_000_000 }).default(
    defaultLimits.connectionsPerAddressMax,
  ),
  /** The window of the next four rates. */
  rateWindowMs: integer({ min: 1_000, max: 3_600_000 }).default(rates.windowMs),
  /** Points of one address; see `RateSettings`. */
  rateAddressPoints: integer({ min: 10, max: 1_000_000_000 }).default(rates.addressPoints),
  rateAccountCalls: integer({ min: 1, max: 1_000_000_000 }).default(rates.accountCalls),
  rateOrganizationCalls: integer({ min: 1, max: 1_000_000_000 }).default(rates.organizationCalls),
  rateProjectCaptures: integer({ min: 1, max: 1_000_000_000 }).default(rates.projectCaptures),
  /** Limit for one address. */
  rateSignupsPerHour: integer({ min: 1, max: 1_000_000_000 }).default(rates.signupsPerHour),
  /** For project: the address at which SDKs send events over HTTP; unset: no HTTP edge. */
  edgeAddress: hostPort().optional(),
  /** Proxies whose `X-Forwarded-For` names the client: addresses or CIDRs, separated by commas. */
  edgeTrustedProxies: string().default(''),
  /** Memory for the bodies of all HTTP requests. */
  edgeHeldBytes: integer({ min: 28 * 2 ** 20, max: 2 ** 40 }).default(32 * 2 ** 20),
  logLevel: oneOf('trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent').default('info'),
  /** `auto`: text for people on a terminal, else JSON. */
  logFormat: oneOf('auto', 'json', 'text').default('auto'),
  /**
   * Whether and where spans are exported; the SDK itself reads these and further `OTEL_*`
   * variables.
   */
  otelSdkDisabled: oneOf('true', 'false').default('false'),
  otelTracesExporter: oneOf('otlp', 'console', 'none').optional(),
  otelExporterOtlpEndpoint: url('http', 'https').optional(),
  otelExporterOtlpTracesEndpoint: url('http', 'https').optional(),
  /** The address at which Prometheus reads metrics, `host:port`; unset: none. */
  metricsAddress: hostPort().optional(),
};

export type ServiceConfig = ConfigOf<typeof serviceConfigShape>;

/** The settings, and the check for dangerous combinations. */
export const serviceConfigSpec: ConfigSpec<typeof serviceConfigShape> = {
  shape: serviceConfigShape,
  check: (config) => [
    ...mongodbFaults(config),
    ...leaseFaults(config),
    ...roleFaults(config),
    ...regionFaults(config),
  ],
};

/** Checks that MongoDB's location is given exactly once. */
export function mongodbFaults(
  config: Partial<Pick<ServiceConfig, 'mongodbUrl' | 'mongodbUrlFile'>>,
): string[] {
  // A value that is set but invalid is reported already.
  if (!('mongodbUrl' in config) || !('mongodbUrlFile' in config)) return [];
  const given = [config.mongodbUrl, config.mongodbUrlFile].filter((each) => each !== undefined);
  return given.length === 1 ? [] : ['MONGODB_URL or MONGODB_URL_FILE must be set, and not both'];
}

function leaseFaults({ leaseMs, leaseRenewMs, leaseDriftShare }: Partial<ServiceConfig>): string[] {
  if (leaseMs === undefined || leaseRenewMs === undefined) return [];
  if (leaseDriftShare === undefined) return [];
  try {
    checkLeaseNumbers(leaseNumbersOf({ leaseMs, leaseRenewMs, leaseDriftShare }));
    return [];
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return [`LEASE_MS, LEASE_RENEW_MS and LEASE_DRIFT_SHARE do not go together: ${why}`];
  }
}

function roleFaults({ role, edgeAddress }: Partial<ServiceConfig>): string[] {
  return role === 'edge' && edgeAddress === undefined ? ['ROLE=edge needs EDGE_ADDRESS'] : [];
}

function regionFaults({ region, regionAddresses }: Partial<ServiceConfig>): string[] {
  const namesItself = region !== undefined && regionAddresses?.has(region);
  return namesItself ? ['REGION_ADDRESSES must name other regions, and not REGION'] : [];
}

/** The settings of every lease. */
export function leaseNumbersOf({
  leaseMs,
  leaseRenewMs,
  leaseDriftShare,
}: Pick<ServiceConfig, 'leaseMs' | 'leaseRenewMs' | 'leaseDriftShare'>): LeaseNumbers {
  return { leaseMs, renewMs: leaseRenewMs, driftShare: leaseDriftShare };
}
