import { type NatsServers, natsOptions } from '@silo/events/nats-options.ts';
import {
  type ConnectionOptions,
  connect,
  type JetStreamClient,
  type JetStreamManager,
  type NatsConnection,
} from 'nats';

/**
 * Far more than a busy machine takes; by default nats.js gives up a connection after 20 s, and a
 * request after 5.
 */
const timeout = 120_000;

/** Connects to NATS, for tests. */
export function connectToNats(
  servers: NatsServers,
  options: Pick<ConnectionOptions, 'noEcho' | 'reconnect'> = {},
): Promise<NatsConnection> {
  return connect({ ...natsOptions(servers), ...options, timeout });
}

/** The client that changes and reads the streams of a connection. */
export function managerOf(connection: NatsConnection): Promise<JetStreamManager> {
  return connection.jetstreamManager({ timeout });
}

/** The client that publishes to the streams of a connection, and reads them. */
export function jetStreamOf(connection: NatsConnection): JetStreamClient {
  return connection.jetstream({ timeout });
}
