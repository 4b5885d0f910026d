import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { constants } from 'node:http2';
import type { Server } from '@grpc/grpc-js';
import { errors } from '@silo/errors/errors.ts';
import { from } from '@silo/errors/from.ts';
import type { SiloError } from '@silo/errors/silo-error.ts';
import { toStatus } from '@silo/errors/to-status.ts';
import type { ReportListenerRefusal } from '@silo/runtime/listener-refusals.ts';
import { fingerprintOf } from '@silo/tokens/secrets.ts';
import { answerEarly } from './answered-stream.ts';
import type { CallReport } from './call-report.ts';
import { type Connection, Connections } from './connections.ts';
import { secretHashOfHeader } from './credentials.ts';
import { http2ServersOf, http2StreamOf, receiveStreams } from './http2-servers.ts';
import { libraryRefusal } from './library-refusal.ts';
import {
  headerBytesMax,
  type PortLimits,
  publicConnectionWindowBytes,
  publicStreamsMax,
  publicWindowBytes,
  refusalsPerConnectionMax,
  unadmitted,
  unadmittedCaptures,
  unadmittedKnown,
  untrustedCallsPerTurn,
} from './limits.ts';
import { dropLongDeadline } from './long-deadline.ts';
import { PacedTurns } from './paced-turns.ts';
import { RateLimits } from './rate-limits.ts';
import { ReflectionSlots } from './reflection-slots.ts';
import { tooLarge } from './refusal.ts';
import { headerBytesOf, UnadmittedCalls, type UnadmittedRefusal } from './unadmitted-calls.ts';
import { UnreadAnswers } from './unread-answers.ts';

/** What is known about a call before it is read, and the callbacks of its admission. */
export type Arrival = {
  /** The client's IP address, and the network that limits count it for. */
  address: string;
  network: string;
  /** Undefined on an internal port, whose callers TLS has authenticated. */
  rates: RateLimits | undefined;
  /** Call this when the call's key was accepted: its connection is trusted from then on. */
  accepted(keyHash: Uint8Array): void;
  /** Call this when the call is admitted: its memory then counts for the handler. */
  admitted(): void;
  /**
   * Whether the connection may have another answer of this size, since it may not read its answers.
   */
  hasRoomFor(answerBytes: number): boolean;
  /** Call this when the call is answered: the answers that its client has not read are limited. */
  answered(answerBytes: number): void;
  /**
   * Call this when a message of a stream waits for its client; call the returned function when it
   * was sent.
   */
  holds(messageBytes: number): () => void;
};

type FrontOptions = {
  limits: PortLimits;
  internal: boolean;
  requestBytesMaxOf(path: string): number;
  /** Whether the port accepts captures, which are larger than other requests. */
  takesCaptures: boolean;
  /** See `authenticateHeader`. */
  authenticate(
    path: string,
    authorization: string | undefined,
    signal: AbortSignal,
  ): Promise<boolean>;
  /** Reports a call that is rejected before its admission. */
  reportRefused: CallReport['refused'];
  /** Reports connections, and calls that the gRPC library refuses itself. */
  reportListener: ReportListenerRefusal;
};

const connectionPoints = 5;
const reflectionPoints = 10;
/**
 * The cost of a call that is refused because it is too large, or because it and similar calls hold
 * too much memory.
 */
const memoryPoints = 30;
const retryMs = 1_000;
const unknownArrival: Arrival = {
  ...{ address: 'unknown', network: 'unknown', rates: undefined },
  ...{ accepted: () => {}, admitted: () => {} },
  ...{ hasRoomFor: () => true, answered: () => {}, holds: () => () => {} },
};

/**
 * The admission control in front of grpc-js on one port. It counts connections and checks each new
 * stream before grpc-js makes a call of it. On the public port, a stream without a recently
 * accepted key costs its address points, and its memory is limited until it is admitted.
 */
export class Front implements Disposable {
  readonly #internal: boolean;
  readonly #rates: RateLimits | undefined;
  readonly #connections: Connections;
  readonly #unadmitted: UnadmittedCalls;
  /** Calls with a key or project token that was accepted recently: they may hold more memory. */
  readonly #unadmittedKnown: UnadmittedCalls;
  readonly #unread = new UnreadAnswers<ServerHttp2Stream>((stream) =>
    stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM),
  );
  readonly #requestBytesMaxOf: FrontOptions['requestBytesMaxOf'];
  readonly #arrivals = new WeakMap<object, Arrival>();
  readonly #authenticate: FrontOptions['authenticate'];
  readonly #reportRefused: FrontOptions['reportRefused'];
  readonly #reportListener: ReportListenerRefusal;
  /** The streams that a handler serves, or whose refusal this class reports. */
  readonly #reported = new WeakSet<object>();
  readonly #reflectionSlots = new ReflectionSlots();
  readonly #turns = new PacedTurns(untrustedCallsPerTurn);

  constructor({
    limits,
    internal,
    requestBytesMaxOf,
    takesCaptures,
    authenticate,
    reportRefused,
    reportListener,
  }: FrontOptions) {
    const rates = internal ? undefined : new RateLimits(limits.rates);
    this.#internal = internal;
    this.#rates = rates;
    this.#requestBytesMaxOf = requestBytesMaxOf;
    this.#authenticate = authenticate;
    this.#reportRefused = reportRefused;
    this.#reportListener = reportListener;
    this.#connections = new Connections({
      connectionsMax: limits.connectionsMax,
      perAddressMax: internal ? limits.connectionsMax : limits.connectionsPerAddressMax,
      trustsSessions: internal,
      admits: (network) => {
        if (rates?.isFlooding(network)) return false;
        // Not awaited: this connection is open already, and its streams cost points too.
        rates?.takeAddress(network, connectionPoints).catch(() => {});
        return true;
      },
      report: reportListener,
    });
    const refuse: ConstructorParameters<typeof UnadmittedCalls>[0] = (stream, path, why) =>
      this.#refuseUnadmitted(stream, path, why);
    this.#unadmitted = new UnadmittedCalls(refuse, takesCaptures ? unadmittedCaptures : unadmitted);
    this.#unadmittedKnown = new UnadmittedCalls(refuse, unadmittedKnown);
  }

  /** Starts when the server is bound. */
  watch(server: Server): void {
    for (const http2Server of http2ServersOf(server)) {
      this.#connections.watch(http2Server);
      receiveStreams(http2Server, (stream, headers, proceed) => {
        // grpc-js adds its own listener only to the streams that it gets.
        stream.on('error', () => {});
        dropLongDeadline(headers);
        const connection = this.#connections.of(stream);
        if (connection === undefined) {
          stream.close(constants.NGHTTP2_REFUSED_STREAM);
          return;
        }
        stream.once('close', () => this.#reportUnhandled(stream, connection));
        if (this.#internal) this.#proceed(stream, connection, proceed);
        else void this.#receive(stream, headers, connection, proceed);
      });
    }
  }

  /**
   * How a call arrived, for the call object that grpc-js passes to a handler. From then on, an
   * error of the call is one of its handler, not a refusal of the listener.
   */
  arrivalOf(call: object): Arrival {
    const stream = http2StreamOf(call);
    if (stream !== undefined) this.#reported.add(stream);
    return (stream && this.#arrivals.get(stream)) ?? unknownArrival;
  }

  /** Closes all connections: at a forced shutdown, grpc-js without channelz does not know them. */
  [Symbol.dispose](): void {
    this.#connections[Symbol.dispose]();
    this.#unadmitted[Symbol.dispose]();
    this.#unadmittedKnown[Symbol.dispose]();
    this.#unread[Symbol.dispose]();
  }

  async #receive(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    connection: Connection,
    proceed: () => void,
  ): Promise<void> {
    // HTTP/2 limits them too, but only for a client that acknowledges the settings of the server.
    if (headerBytesOf(headers) > headerBytesMax) {
      this.#reportListener('headers_too_large', connection.address);
      stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
      return;
    }
    const isKnown = this.#isKnown(headers);
    if (isKnown) trust(stream, connection);
    if (!isKnown && !connection.isTrusted) {
      await this.#turns.wait();
      if (stream.closed || stream.destroyed) return;
    }
    try {
      const points = isReflection(headers) ? reflectionPoints : 1;
      if (!isKnown) await this.#rates?.takeAddress(connection.network, points);
    } catch (error) {
      connection.refusals++;
      const refusal = from(error, { callId: '' });
      if (this.#isAbusive(connection)) {
        this.#reportRefused(headers[':path'] ?? '', connection.address, refusal);
        connection.socket.destroy();
      } else this.#refuse(stream, connection, refusal, headers[':path']);
      return;
    }
    // The stream may have been reset meanwhile; then grpc-js would wait for its end forever.
    if (stream.closed || stream.destroyed) return;
    if (isReflection(headers) && !this.#takeReflectionSlot(stream, connection, headers)) {
      this.#refuse(stream, connection, errors.rateLimited('reflection', retryMs), headers[':path']);
      return;
    }
    this.#proceed(stream, connection, proceed);
    if (stream.closed || stream.destroyed) return;
    const bytesMax = this.#requestBytesMaxOf(headers[':path'] ?? '');
    if (isKnown) this.#unadmittedKnown.add(stream, connection, headers, bytesMax);
    else {
      this.#unadmitted.add(stream, connection, headers, bytesMax, () =>
        this.#authenticateFirst(stream, connection, headers),
      );
    }
  }

  /** Reads the rest of a large request only after its key or project token is found to be live. */
  async #authenticateFirst(
    stream: ServerHttp2Stream,
    connection: Connection,
    headers: IncomingHttpHeaders,
  ): Promise<void> {
    const { ':path': path = '', authorization } = headers;
    const hash = secretHashOfHeader(authorization);
    const gone = new AbortController();
    stream.once('close', () => gone.abort());
    stream.pause();
    try {
      const work = () => this.#authenticate(path, authorization, gone.signal);
      const isLive = await this.#rates?.authenticate(connection.network, hash, work);
      if (isLive && hash !== undefined) this.#accept(stream, connection, hash);
    } catch (error) {
      const refusal = from(error, { callId: '' });
      if (!gone.signal.aborted) this.#refuse(stream, connection, refusal, path, hash);
    }
    // Also done for a refused call: a stream that is not read does not close.
    stream.resume();
  }

  /** The key or project token is live: trust the connection. */
  #accept(stream: ServerHttp2Stream, connection: Connection, hash: Uint8Array): void {
    trust(stream, connection);
    this.#rates?.accept(hash);
  }

  /** Whether the call has a key or project token that was accepted recently. */
  #isKnown({ authorization }: IncomingHttpHeaders): boolean {
    const hash = secretHashOfHeader(authorization);
    return hash !== undefined && (this.#rates?.isKnown(hash) ?? false);
  }

  /** Whether the client continues despite refusals. */
  #isAbusive({ isTrusted, refusals, network }: Connection): boolean {
    if (isTrusted) return false;
    return refusals > refusalsPerConnectionMax || (this.#rates?.isFlooding(network) ?? false);
  }

  /** Takes a slot of server reflection until the stream closes; false if there is none. */
  #takeReflectionSlot(
    stream: ServerHttp2Stream,
    connection: Connection,
    headers: IncomingHttpHeaders,
  ): boolean {
    const release = this.#reflectionSlots.take(connection.network, performance.now(), () =>
      this.#refuse(stream, connection, errors.rateLimited('reflection', retryMs), headers[':path']),
    );
    if (release !== undefined) stream.once('close', release);
    return release !== undefined;
  }

  #refuseUnadmitted(
    stream: ServerHttp2Stream,
    path: string | undefined,
    why: UnadmittedRefusal,
  ): void {
    const connection = this.#connections.of(stream);
    if (why === 'timeout') {
      this.#refuse(stream, connection, errors.callEnded('deadline'), path);
      return;
    }
    const error =
      why === 'size'
        ? tooLarge(this.#requestBytesMaxOf(path ?? ''))
        : errors.rateLimited('memory', retryMs);
    // A request of a known client that is too large is a mistake, and has cost nothing.
    if (connection !== undefined && !(why === 'size' && connection.isTrusted)) {
      this.#rates?.takeAddress(connection.network, memoryPoints).catch(() => {});
    }
    if (connection === undefined || connection.isTrusted || why !== 'port-memory') {
      this.#refuse(stream, connection, error, path);
      return;
    }
    // The connection ends too: if only its calls were refused, it could send more before their
    // memory is freed.
    this.#reportRefused(path ?? '', connection.address, error);
    connection.socket.destroy();
  }

  /** Reports a closed stream that grpc-js has refused before a handler began. */
  #reportUnhandled(stream: ServerHttp2Stream, { address }: Connection): void {
    const refusal = this.#reported.has(stream) ? undefined : libraryRefusal(stream);
    if (refusal !== undefined) this.#reportListener(refusal.reason, address, refusal.code);
  }

  #proceed(stream: ServerHttp2Stream, connection: Connection, proceed: () => void): void {
    const { address, network } = connection;
    const rates = this.#rates;
    this.#arrivals.set(stream, {
      ...{ address, network, rates },
      accepted: (keyHash) => this.#accept(stream, connection, keyHash),
      admitted: () => {
        this.#unadmitted.release(stream);
        this.#unadmittedKnown.release(stream);
      },
      ...this.#unreadOf(stream, connection),
    });
    proceed();
  }

  #unreadOf(
    stream: ServerHttp2Stream,
    connection: Connection,
  ): Pick<Arrival, 'hasRoomFor' | 'answered' | 'holds'> {
    // Peers are trusted to read their answers, and their logs are larger.
    if (this.#internal) return unknownArrival;
    const unread = this.#unread;
    return {
      hasRoomFor: (bytes) => unread.hasRoomFor(connection, bytes),
      answered: (bytes) => unread.add(stream, connection, bytes),
      holds: (bytes) => {
        unread.hold(stream, connection, bytes);
        return () => unread.release(stream);
      },
    };
  }

  #refuse(
    stream: ServerHttp2Stream,
    connection: Connection | undefined,
    error: SiloError,
    path = '',
    keyHash?: Uint8Array,
  ): void {
    const fingerprint = keyHash && fingerprintOf(keyHash);
    this.#reported.add(stream);
    this.#reportRefused(path, connection?.address ?? 'unknown', error, fingerprint);
    if (stream.closed || stream.destroyed) return;
    if (stream.headersSent) {
      stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
      return;
    }
    const { code, details, metadata } = toStatus(error);
    const trailers = {
      ...{ ':status': 200, 'content-type': 'application/grpc+proto' },
      ...{ 'grpc-status': code, 'grpc-message': encodeURI(details) },
      ...metadata.toHttp2Headers(),
    };
    answerEarly(stream, trailers);
  }
}

/**
 * After the first call with a live key, a connection may have more and larger concurrent streams.
 */
function trust({ session }: ServerHttp2Stream, connection: Connection): void {
  if (connection.isTrusted) return;
  connection.isTrusted = true;
  if (session === undefined || session.closed || session.destroyed) return;
  session.settings({
    maxConcurrentStreams: publicStreamsMax,
    initialWindowSize: publicWindowBytes,
  });
  session.setLocalWindowSize(publicConnectionWindowBytes);
}

function isReflection(headers: IncomingHttpHeaders): boolean {
  return headers[':path']?.startsWith('/grpc.reflection.') ?? false;
}
