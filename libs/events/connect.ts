import { systemSleep } from '@silo/runtime/clock.ts';
import { race } from '@silo/runtime/deadline.ts';
import type { Log } from '@silo/runtime/log.ts';
import { equalJitterMs } from '@silo/runtime/random.ts';
import { type ConnectionOptions, connect, ErrorCode, Events, type NatsConnection } from 'nats';
import { Flag, type Subscribable } from './health.ts';
import { type NatsServers, natsOptions } from './nats-options.ts';

const connectTimeoutMs = 5_000;
const backoff = { baseMs: 200, capMs: 5_000 };

/** A connection to NATS that reconnects by itself. Services start and run without it. */
export type NatsLink = AsyncDisposable & {
  /** Whether it is connected now. */
  readonly connected: Subscribable;
  /** Increases whenever the connection is lost; messages sent before may be lost too. */
  readonly losses: number;
  /** The connection, which may be interrupted now; undefined before the first one. */
  readonly connection: NatsConnection | undefined;
  /** Maximum size of a message in bytes; 0 without a connection. */
  readonly payloadMax: number;
  /** Publishes on core NATS at once; drops the message if there is no connection. */
  publish(subject: string, body: Uint8Array): void;
  /** Resolves as soon as there is a connection; rejects only with the signal's reason. */
  ready(signal: AbortSignal): Promise<NatsConnection>;
};

type Options = NatsServers & {
  /** The name of this process at the server. */
  name: string;
  log: Log;
};

/** Starts to connect, retrying for ever, and returns at once. Dispose of the link to close it. */
export function connectNats(options: Options): NatsLink {
  return new Link(options);
}

class Link implements NatsLink {
  readonly connected = new Flag();
  readonly #options: Options;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  #connection: NatsConnection | undefined;
  #losses = 0;

  constructor(options: Options) {
    this.#options = options;
    this.#running = this.#run();
  }

  get losses(): number {
    return this.#losses;
  }

  get connection(): NatsConnection | undefined {
    return this.#connection;
  }

  get payloadMax(): number {
    return this.#connection?.info?.max_payload ?? 0;
  }

  publish(subject: string, body: Uint8Array): void {
    if (this.connected.value) this.#connection?.publish(subject, body);
  }

  async ready(signal: AbortSignal): Promise<NatsConnection> {
    const up = Promise.withResolvers<void>();
    using _listening = this.connected.subscribe((isConnected) => {
      if (isConnected) up.resolve();
    });
    await race(up.promise, signal);
    if (this.#connection === undefined) throw new TypeError('connected without a connection');
    return this.#connection;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#connection?.close();
    await this.#running;
  }

  /**
   * Not runForever: after an established connection, the count of failures starts again, however it
   * ended.
   */
  async #run(): Promise<void> {
    const { signal } = this.#stop;
    const { log, name } = this.#options;
    let failures = 0;
    while (!signal.aborted) {
      try {
        const connection = await this.#open();
        failures = 0;
        await this.#watch(connection);
      } catch (error) {
        if (signal.aborted) break;
        failures++;
        log.warn({ name, failures, err: error }, reasonOf(error));
      }
      await systemSleep(equalJitterMs(failures + 1, backoff), signal).catch(() => {});
    }
  }

  async #open(): Promise<NatsConnection> {
    const opening = connect(connectionOptions(this.#options));
    try {
      return await race(opening, this.#stop.signal);
    } catch (error) {
      opening.then(
        (late) => late.close(),
        () => {},
      );
      throw error;
    }
  }

  /** Follows the connection until it is closed: by this process, or after a refused login. */
  async #watch(connection: NatsConnection): Promise<void> {
    this.#connection = connection;
    this.connected.set(true);
    this.#options.log.info({ server: connection.getServer() }, 'NATS is connected');
    try {
      // nats.js does not end this iteration when the connection is closed, so it is not awaited.
      this.#followStatus(connection).catch(() => {});
      const error = await connection.closed();
      if (error) throw error;
    } finally {
      this.#lost();
      this.#connection = undefined;
    }
  }

  async #followStatus(connection: NatsConnection): Promise<void> {
    const { log } = this.#options;
    let lastRefusal: string | undefined;
    for await (const { type, data, permissionContext } of connection.status()) {
      if (type === Events.Disconnect) {
        this.#lost();
        log.warn('NATS is disconnected');
      } else if (type === Events.Reconnect) {
        log.info({ server: connection.getServer() }, 'NATS is connected again');
        lastRefusal = undefined;
        this.connected.set(true);
      } else if (type === Events.Error) {
        // A refused login or subject. Every attempt is refused alike, so it is logged once.
        const refusal = `${data} ${permissionContext?.subject}`;
        if (refusal === lastRefusal) continue;
        lastRefusal = refusal;
        log.warn({ reason: data, ...permissionContext }, 'NATS denied a permission');
      }
    }
  }

  #lost(): void {
    this.#losses++;
    this.connected.set(false);
  }
}

/** Error codes of Node for a certificate that it does not accept. */
const certificateCode = /^(CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|ERR_TLS_CERT_ALTNAME_)/;

/**
 * The reason in terms of Silo's settings: Node's messages name Node's options, and nats.js says
 * only `tls`.
 */
function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (certificateCode.test(code)) {
    return 'NATS is refused: its certificate is not valid for its address and the CA in NATS_TLS_CA';
  }
  if (code === ErrorCode.ServerOptionNotAvailable) {
    return 'NATS is refused: it offers no TLS, which NATS_URL or NATS_TLS_CA demands';
  }
  return 'NATS is not reachable';
}

function connectionOptions(options: Options): ConnectionOptions {
  return {
    ...natsOptions(options),
    name: options.name,
    timeout: connectTimeoutMs,
    reconnect: true,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 250,
    reconnectJitter: 250,
    pingInterval: 5_000,
    maxPingOut: 2,
  };
}
