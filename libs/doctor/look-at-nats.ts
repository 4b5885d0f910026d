import { natsOptions } from '@silo/events/nats-options.ts';
import { driftOf, isApiError, streamNotFound } from '@silo/events/stream.ts';
import { redactText } from '@silo/runtime/redact.ts';
import {
  connect,
  ErrorCode,
  type JetStreamManager,
  type NatsConnection,
  NatsError,
  type StreamInfo,
} from 'nats';
import { addressesOf, splitAddress } from './addresses.ts';
import type { Deployment } from './deployment.ts';
import type { CertificateFacts, ConsumerFacts, Facts, NatsFacts } from './facts.ts';
import { offsetOf } from './offset.ts';
import { certificatesOf } from './server-certificates.ts';

const timeoutMs = 5_000;
/** Time limit, because NATS does not answer a user without the right to list consumers. */
const listMs = 1_500;
/** Further consumers are not examined. */
const consumersMax = 1_000;

/** Examines the server, the stream of events, and the certificate of each server. */
export async function lookAtNats(
  { nats, stream }: Pick<Deployment, 'nats' | 'stream'>,
  now: () => number,
): Promise<Pick<Facts, 'nats' | 'certificates'>> {
  // Servers that cannot be resolved are reported as a finding of their own.
  const certificates = await certificatesOfServers(nats).catch(() => []);
  return { ...(await lookAtConnected({ nats, stream }, now)), certificates };
}

async function lookAtConnected(
  { nats, stream }: Pick<Deployment, 'nats' | 'stream'>,
  now: () => number,
): Promise<Pick<Facts, 'nats'>> {
  let connection: NatsConnection | undefined;
  try {
    connection = await connect({
      ...natsOptions(nats),
      ...{ name: 'silo-doctor', timeout: timeoutMs, reconnect: false, maxReconnectAttempts: 0 },
    });
    return { nats: { seen: await lookAtServer(connection, stream, now) } };
  } catch (error) {
    const reason = redactText(error instanceof Error ? error.message : String(error));
    return { nats: { unseen: `cannot be used: ${reason}` } };
  } finally {
    await connection?.close();
  }
}

/** Certificates of all servers behind the names in the URL, if it requires TLS. */
async function certificatesOfServers(nats: Deployment['nats']): Promise<CertificateFacts[]> {
  const { servers, tls } = natsOptions(nats);
  if (!tls) return [];
  const found = [servers ?? []].flat().map(async (server) => {
    const { host, port } = splitAddress(server, 4_222);
    const addresses = await addressesOf(host);
    const hosts = addresses.length < 2 ? [host] : addresses;
    return hosts.map((each) => ({ kind: 'NATS', host: each, port }) as const);
  });
  return await certificatesOf((await Promise.all(found)).flat());
}

async function lookAtServer(
  connection: NatsConnection,
  stream: Deployment['stream'],
  now: () => number,
): Promise<NatsFacts> {
  const { info } = connection;
  const manager = await connection.jetstreamManager({ timeout: timeoutMs, checkAPI: false });
  const sentMs = now();
  const found = await streamInfo(manager, stream.name);
  const receivedMs = now();
  return {
    version: info?.version ?? '',
    isOpen: info?.auth_required !== true,
    payloadMaxBytes: info?.max_payload ?? 0,
    stream: found && {
      drift: driftOf(found.config, stream),
      clock: offsetOf(Date.parse(found.ts ?? ''), { sentMs, receivedMs }),
    },
    consumers: found && (await consumersOf(connection, stream.name)),
  };
}

/** Undefined if the stream does not exist. */
async function streamInfo(
  manager: JetStreamManager,
  name: string,
): Promise<StreamInfo | undefined> {
  try {
    return await manager.streams.info(name);
  } catch (error) {
    if (isApiError(error, streamNotFound) || isWithoutJetStream(error)) return undefined;
    throw error;
  }
}

function isWithoutJetStream(error: unknown): boolean {
  return error instanceof NatsError && error.code === ErrorCode.JetStreamNotEnabled;
}

/**
 * The durable consumers; undefined if the user lacks the right, in which case NATS does not answer.
 */
async function consumersOf(
  connection: NatsConnection,
  stream: string,
): Promise<ConsumerFacts[] | undefined> {
  const found: ConsumerFacts[] = [];
  try {
    const manager = await connection.jetstreamManager({ timeout: listMs, checkAPI: false });
    for await (const { config, num_pending: pending } of manager.consumers.list(stream)) {
      if (config.durable_name !== undefined) found.push({ name: config.durable_name, pending });
      if (found.length >= consumersMax) break;
    }
    return found;
  } catch {
    return undefined;
  }
}
