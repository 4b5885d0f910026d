import type { Http2SecureServer, ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { ListenerRefusal, ReportListenerRefusal } from '@silo/runtime/listener-refusals.ts';
import { networkOf } from './client-address.ts';
import { rawSocketOf, receiveConnections } from './http2-servers.ts';
import { handshakesPerTurn, prefaceTimeoutMs } from './limits.ts';
import { PacedTurns } from './paced-turns.ts';

/** One accepted connection of a port. */
export type Connection = {
  /** The client's IP address, and the network that limits count it for. */
  address: string;
  network: string;
  socket: Socket;
  /** Closes the connection if it does not speak HTTP/2 in time. */
  prefaceTimer: NodeJS.Timeout;
  /** Whether the client has authenticated: then the connection is never evicted. */
  isTrusted: boolean;
  /** Calls that were refused because the address has no points left. */
  refusals: number;
  /** Whether the refusal of the connection is reported: it is reported once. */
  isReported: boolean;
};

export type ConnectionSettings = {
  connectionsMax: number;
  perAddressMax: number;
  /** Whether TLS itself requires a client certificate. */
  trustsSessions: boolean;
  /** Called for each new connection; false closes it before the TLS handshake. */
  admits(network: string): boolean;
  /** Called for each connection that is closed because of a limit or of its client's fault. */
  report: ReportListenerRefusal;
};

/**
 * Counts and limits the connections of a port. Above a limit, the oldest unauthenticated connection
 * of the same address, or of the port, is evicted; if there is none, the new connection is closed.
 * A connection that does not speak HTTP/2 in time is closed too. During a burst of connections, one
 * TLS handshake begins in each turn of the event loop.
 */
export class Connections {
  readonly #settings: ConnectionSettings;
  readonly #prefaceTimeoutMs: number;
  /** By its endpoints, in the order of acceptance. */
  readonly #all = new Map<string, Connection>();
  readonly #byNetwork = new Map<string, Set<Connection>>();
  readonly #bySession = new WeakMap<object, Connection>();
  readonly #bySocket = new WeakMap<object, Connection>();
  readonly #turns = new PacedTurns(handshakesPerTurn);

  constructor(settings: ConnectionSettings, timeoutMs = prefaceTimeoutMs) {
    this.#settings = settings;
    this.#prefaceTimeoutMs = timeoutMs;
  }

  /** Starts to count the connections of a server. */
  watch(server: Http2SecureServer): void {
    receiveConnections(server, (socket, proceed) => void this.#receive(socket, proceed));
    server.prependListener('session', (session) => this.#begin(session));
    server.on('tlsClientError', (error, socket) => this.#reportHandshake(error, socket));
    server.on('secureConnection', (socket) => {
      if (socket.alpnProtocol !== 'h2') this.#report(this.#ofTls(socket), 'protocol');
    });
    server.on('sessionError', ({ code }: NodeJS.ErrnoException, session) => {
      // Other errors mean that the client has left, or that this server has closed the session.
      const isFault = code?.startsWith('ERR_HTTP2_') && code !== 'ERR_HTTP2_SESSION_ERROR';
      if (isFault) this.#report(this.#bySession.get(session), 'protocol', code);
    });
  }

  get count(): number {
    return this.#all.size;
  }

  /** Closes all connections. */
  [Symbol.dispose](): void {
    for (const connection of [...this.#all.values()]) this.#drop(connection);
  }

  /** The connection of a stream; undefined if it is already closed. */
  of({ session }: ServerHttp2Stream): Connection | undefined {
    return session && this.#bySession.get(session);
  }

  async #receive(socket: Socket, proceed: () => void): Promise<void> {
    socket.on('error', () => {}); // TLS adds its own listener later
    if (!this.#accept(socket)) return;
    await this.#turns.wait();
    if (!socket.destroyed) proceed();
  }

  /** Whether the connection is kept. */
  #accept(socket: Socket): boolean {
    const address = socket.remoteAddress ?? 'unknown';
    const network = networkOf(address);
    const refusal = this.#settings.admits(network) ? this.#makeRoomFor(network) : 'rate_limited';
    if (refusal !== undefined) {
      this.#settings.report(refusal, address);
      socket.destroy();
      return false;
    }
    const prefaceTimer = setTimeout(
      () => this.#refuse(connection, 'timeout'),
      this.#prefaceTimeoutMs,
    );
    const connection: Connection = {
      ...{ address, network, socket, prefaceTimer },
      ...{ isTrusted: false, refusals: 0, isReported: false },
    };
    this.#all.set(endpointsOf(socket), connection);
    this.#bySocket.set(socket, connection);
    const siblings = this.#byNetwork.get(network) ?? new Set();
    this.#byNetwork.set(network, siblings.add(connection));
    const key = endpointsOf(socket);
    socket.once('close', () => this.#forget(key, connection));
    return true;
  }

  /** Evicts a connection if a limit is reached; the limit if there is none to evict. */
  #makeRoomFor(network: string): ListenerRefusal | undefined {
    const { connectionsMax, perAddressMax } = this.#settings;
    const siblings = this.#byNetwork.get(network);
    if (siblings !== undefined && siblings.size >= perAddressMax) {
      return this.#evictOldest(siblings, 'connections_per_address_max');
    }
    if (this.#all.size < connectionsMax) return undefined;
    return this.#evictOldest(this.#all.values(), 'connections_max');
  }

  /** Evicts the oldest unauthenticated connection; returns the limit if there is none. */
  #evictOldest(
    connections: Iterable<Connection>,
    limit: ListenerRefusal,
  ): ListenerRefusal | undefined {
    for (const connection of connections) {
      if (connection.isTrusted) continue;
      this.#refuse(connection, limit);
      return undefined;
    }
    return limit;
  }

  #refuse(connection: Connection, reason: ListenerRefusal): void {
    this.#report(connection, reason);
    this.#drop(connection);
  }

  #report(connection: Connection | undefined, reason: ListenerRefusal, code?: string): void {
    if (connection?.isReported) return;
    if (connection !== undefined) connection.isReported = true;
    this.#settings.report(reason, connection?.address, code);
  }

  #reportHandshake({ code }: NodeJS.ErrnoException, socket: TLSSocket): void {
    // Node checks the certificate after the handshake, and then closes the connection.
    const isUntrusted = Boolean(socket.authorizationError);
    // The client has left, or the connection was evicted.
    if (code === 'ECONNRESET' && !isUntrusted) return;
    const isOfCertificate = isUntrusted || code === 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE';
    const reason = isOfCertificate ? 'client_certificate' : 'handshake';
    this.#report(this.#ofTls(socket), reason, code);
  }

  /** The connection of a TLS socket, even if it is already closed. */
  #ofTls(socket: TLSSocket): Connection | undefined {
    const raw = rawSocketOf(socket);
    return raw && this.#bySocket.get(raw);
  }

  #drop(connection: Connection): void {
    // A closed socket no longer reports its endpoints, so the entry is removed at once.
    this.#forget(endpointsOf(connection.socket), connection);
    connection.socket.destroy();
  }

  #forget(key: string, connection: Connection): void {
    clearTimeout(connection.prefaceTimer);
    if (this.#all.get(key) === connection) this.#all.delete(key);
    const siblings = this.#byNetwork.get(connection.network);
    siblings?.delete(connection);
    if (siblings?.size === 0) this.#byNetwork.delete(connection.network);
  }

  #begin(session: ServerHttp2Session): void {
    const connection = this.#all.get(endpointsOf(session.socket));
    if (connection === undefined) return;
    this.#bySession.set(session, connection);
    connection.isTrusted = this.#settings.trustsSessions;
    session.once('remoteSettings', () => clearTimeout(connection.prefaceTimer));
  }
}

type Endpoints = Pick<Socket, 'remoteAddress' | 'remotePort' | 'localAddress'>;

function endpointsOf({ remoteAddress, remotePort, localAddress }: Endpoints): string {
  return `${remoteAddress} ${remotePort} ${localAddress}`;
}
