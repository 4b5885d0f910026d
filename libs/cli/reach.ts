import { connect } from 'node:net';
import { connectivityState } from '@grpc/grpc-js';
import type { RpcChannel } from '@silo/rpc/client.ts';
import { type Sleep, systemSleep } from '@silo/runtime/clock.ts';
import { Failure } from './failure.ts';

const everyMs = 100;
// Both limits together are less than two seconds, with time for the command to start.
const connectedWithinMs = 900;
const probeMs = 500;

/** Checks whether a server is up. */
export type Probe = {
  isConnected: () => boolean;
  /** Why no server listens at the address; undefined if one does. */
  complaint: () => Promise<string | undefined>;
  sleep?: Sleep | undefined;
};

/**
 * Watches the first connection to a server: returns why it is down, or undefined once it is known
 * to be up. A server that listens may take its time to answer; one that does not listen is down.
 */
export async function whyDown(
  { isConnected, complaint, sleep = systemSleep }: Probe,
  signal: AbortSignal,
): Promise<string | undefined> {
  for (let waitedMs = 0; waitedMs < connectedWithinMs; waitedMs += everyMs) {
    if (isConnected()) return undefined;
    await sleep(everyMs, signal);
  }
  return isConnected() ? undefined : await complaint();
}

/** The probe of a channel. */
export function probeOf({ address, channel }: RpcChannel): Probe {
  return {
    isConnected: () => channel.getConnectivityState(false) === connectivityState.READY,
    complaint: () => complaintOf(address),
  };
}

/**
 * Why no server listens at an address; undefined if one does. Uses TCP, because even a busy server
 * accepts connections.
 * @internal Exported for tests.
 */
export function complaintOf(address: string): Promise<string | undefined> {
  const at = address.lastIndexOf(':');
  const host = address.slice(0, at).replace(/^\[|\]$/g, '');
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  const socket = connect({ host, port: Number(address.slice(at + 1)) });
  // Checks the socket once more at the end: a command that had to wait for a processor may not have
  // seen the answer yet.
  const timer = setTimeout(() => setImmediate(() => resolve('no answer')), probeMs);
  socket.once('connect', () => resolve(undefined));
  socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  return promise.finally(() => {
    clearTimeout(timer);
    socket.destroy();
  });
}

/** The address that was tried, and what to do; `ca` shows whose deployment it is. */
export function downFailure(service: string, address: string, why: string, ca: string): Failure {
  const [, directory] = /^(.*)\/\.silo\//.exec(ca) ?? [];
  return new Failure(
    'unavailable',
    `No answer from Silo: nothing listens at ${address} (${service}): ${why}.`,
    directory === undefined
      ? 'is it running, and are the addresses right (silo profiles)?'
      : `is it running? npm start, in ${directory}`,
  );
}
