import type { Client } from '@grpc/grpc-js';
import { type CallOptions, connect, createChannel, type RpcChannel } from '@silo/rpc/client.ts';
import type { ClientTls } from '@silo/rpc/tls.ts';
import type { ServiceName } from '@silo/service/config.ts';
import { usage } from './failure.ts';
import { type Patience, patient, watchedBy } from './patient.ts';
import { downFailure, probeOf, whyDown } from './reach.ts';

// Longer than a revocation waits for a guard that has just died (5 s).
const deadlineMs = 20_000;

/** One port of a service, and how to call it. */
export type Server = { channel: RpcChannel; patience: Patience; options: CallOptions };

/** The address and credentials of a port. */
export type Port = {
  service: ServiceName;
  /** `host:port`. */
  address: string;
  tls: Extract<ClientTls, { ca: string }>;
  apiKey?: string | undefined;
};

/**
 * Prepares the connection; sends nothing yet. Calls fail as soon as it is known that no server
 * listens there.
 */
export function openServer({ service, address, tls, apiKey }: Port, patience: Patience): Server {
  const channel = open(address, tls);
  const { signal } = patience;
  const watched = watchedBy(
    { ...patience, at: `${address} (${service})` },
    () => whyDown(probeOf(channel), signal),
    (why) => downFailure(service, address, why, tls.ca),
  );
  const options: CallOptions = {
    refusals: true,
    deadlineMs,
    signal: watched.signal,
    metadata: apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` },
  };
  return { channel, patience: watched, options };
}

/** The methods of one service at a port, with retries. */
export function methodsOf<Generated extends Client>(
  client: Parameters<typeof connect<Generated>>[0],
  { channel, options, patience }: Server,
) {
  return patient(connect(client, channel, options), patience);
}

function open(address: string, tls: Port['tls']): RpcChannel {
  try {
    return createChannel(address, tls);
  } catch (error) {
    const { code, path, message }: NodeJS.ErrnoException =
      error instanceof Error ? error : new Error(String(error));
    throw usage(
      code === 'ENOENT'
        ? `There is no certificate at ${path}.`
        : `The certificates for calling Silo: ${message}`,
      'put it back, or silo login with --ca FILE and the addresses, or with --dev',
    );
  }
}
