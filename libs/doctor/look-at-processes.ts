import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { type ChannelOptions, Metadata, type ServiceError } from '@grpc/grpc-js';
import {
  HealthClient,
  type HealthListResponse,
  HealthCheckResponse_ServingStatus as Status,
} from '@silo/protos/gen/grpc/health/v1/health.ts';
import { createChannel } from '@silo/rpc/client.ts';
import type { TlsFiles } from '@silo/rpc/tls.ts';
import { serviceNames } from '@silo/service/config.ts';
import { addressesOf, type Resolve } from './addresses.ts';
import type { Deployment } from './deployment.ts';
import type { CertificateFacts, Facts, ProcessFacts, Seen } from './facts.ts';
import { offsetOf } from './offset.ts';

const deadlineMs = 5_000;
/** The header `date` has a resolution of whole seconds. */
const dateResolutionMs = 1_000;

type Target = { service: string; address: string; options: ChannelOptions };
type Look = { process: Seen<ProcessFacts>; certificates: CertificateFacts[] };

/** Examines each process behind the internal addresses, and every certificate on the way. */
export async function lookAtProcesses(
  { addresses, edge, tls }: Pick<Deployment, 'addresses' | 'edge' | 'tls'>,
  now: () => number,
  resolve: Resolve = addressesOf,
): Promise<Pick<Facts, 'processes' | 'certificates'>> {
  const targets = await Promise.all([
    ...serviceNames.map((service) => targetsOf(service, addresses[service], resolve)),
    ...(edge === undefined ? [] : [targetsOf('edge', edge, resolve)]),
  ]);
  const looks = await Promise.all(
    targets.flat().map(async (target) => ({ target, look: await lookAt(target, tls, now) })),
  );
  return {
    processes: looks.map(({ target: { service, address }, look: { process } }) => {
      return { service, address, process };
    }),
    certificates: [
      ...looks.flatMap(({ look }) => look.certificates),
      ...(await certificatesIn('the CA in TLS_CA', tls.ca)),
      ...(await certificatesIn('the certificate of this machine (TLS_CERT)', tls.cert)),
    ],
  };
}

/** Every address of a name: replicas behind one name are separate processes. */
async function targetsOf(service: string, target: string, resolve: Resolve): Promise<Target[]> {
  const listed = /^ipv[46]:(?!\/)(.*)$/.exec(target)?.[1];
  if (listed !== undefined) {
    return listed.split(',').map((address) => ({ service, address, options: {} }));
  }
  const [, host = '', port = ''] = /^(?:dns:(?:\/\/[^/]*\/)?)?(.*):(\d+)$/.exec(target) ?? [];
  const name = host.replace(/^\[|\]$/g, '');
  const found = await resolve(name);
  if (found.length < 2) return [{ service, address: target, options: {} }];
  return found.map((address) => ({
    service,
    address: isIP(address) === 6 ? `[${address}]:${port}` : `${address}:${port}`,
    options: { 'grpc.ssl_target_name_override': name, 'grpc.default_authority': name },
  }));
}

async function lookAt(
  { service, address, options }: Target,
  tls: TlsFiles,
  now: () => number,
): Promise<Look> {
  using stack = new DisposableStack();
  try {
    const channel = stack.use(createChannel(address, tls, options));
    const client = new HealthClient(address, channel.credentials, {
      channelOverride: channel.channel,
    });
    const { response, date, sentMs, receivedMs, expireTime } = await listHealth(client, now);
    const health = Object.entries(response.statuses).map(
      ([name, { status }]): [string, boolean] => [name, status === Status.SERVING],
    );
    const clock = offsetOf(Date.parse(date), { sentMs, receivedMs }, dateResolutionMs);
    const holder = `the certificate of ${service} at ${address}`;
    return {
      process: { seen: { service, address, health: Object.fromEntries(health), clock } },
      certificates: expireTime === undefined ? [] : [{ holder, expireTime }],
    };
  } catch (error) {
    return { process: { unseen: reasonOf(error) }, certificates: [] };
  }
}

type Listed = {
  response: HealthListResponse;
  date: string;
  sentMs: number;
  receivedMs: number;
  expireTime: Date | undefined;
};

function listHealth(client: HealthClient, now: () => number): Promise<Listed> {
  const { promise, resolve, reject } = Promise.withResolvers<Listed>();
  const sentMs = now();
  let receivedMs = sentMs;
  let date = '';
  const call = client.list(
    {},
    new Metadata(),
    { deadline: Date.now() + deadlineMs },
    (error, response) => {
      if (error !== null) return reject(error);
      const end = call.getAuthContext()?.sslPeerCertificate?.valid_to;
      const expireTime = end === undefined ? undefined : new Date(end);
      resolve({ response, date, sentMs, receivedMs, expireTime });
    },
  );
  call.on('metadata', (metadata) => {
    receivedMs = now();
    date = String(metadata.get('date')[0] ?? '');
  });
  return promise;
}

/**
 * The certificates in a file. Empty if it cannot be read: the connection to a process reports that.
 */
async function certificatesIn(holder: string, file: string): Promise<CertificateFacts[]> {
  try {
    const pem = await readFile(file, 'latin1');
    const parts = pem.split(/(?=-----BEGIN )/).filter((part) => part.startsWith('-----BEGIN '));
    return parts.map((part) => ({ holder, expireTime: new X509Certificate(part).validToDate }));
  } catch {
    return [];
  }
}

function reasonOf(error: unknown): string {
  const { details } = error as Partial<ServiceError>;
  return `does not answer: ${details ?? (error instanceof Error ? error.message : String(error))}`;
}
