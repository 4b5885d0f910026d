import {
  Channel,
  type ChannelCredentials,
  type ChannelOptions,
  Client,
  type ClientReadableStream,
  type ClientUnaryCall,
  type CallOptions as GrpcCallOptions,
  Metadata,
  type MethodDefinition,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { errors } from '@silo/errors/errors.ts';
import { fromStatus, isBetweenServers } from '@silo/errors/from-status.ts';
import { retry } from '@silo/runtime/retry.ts';
import { beginChildSpan, nameOf, traced, traceHeaders } from '@silo/runtime/tracing.ts';
import { spanOf } from './call-span.ts';
import { isRepeatable } from './repeatable.ts';
import { type ClientTls, clientCredentials, type ExpectedServer } from './tls.ts';

const deadlineDefaultMs = 3_000;
const retryLimits = { attemptsMax: 3, baseMs: 50, capMs: 500 };

// A peer that restarts is back soon, so reconnects are frequent. A dead connection is detected in
// 25 s.
const channelOptions: ChannelOptions = {
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1_000,
  'grpc.keepalive_time_ms': 20_000,
  'grpc.keepalive_timeout_ms': 5_000,
  // channelz is not used, and its counts cost time in every call.
  'grpc.enable_channelz': 0,
  // Window of a stream and of the connection. With HTTP/2's default of 64 KiB, one page of events
  // fills the connection, and the responses of other calls wait.
  'grpc-node.flow_control_window': 1024 * 1024,
};

/** A connection to one server, shared by the clients of its services. */
export type RpcChannel = Disposable & {
  address: string;
  credentials: ChannelCredentials;
  channel: Channel;
  close(): void;
};

/** Options of one call; `connect` takes the same as defaults. */
export type CallOptions = {
  /** Cancels the call; it then rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** Deadline of the whole call including retries: 3,000 by default; none for streams. */
  deadlineMs?: number | undefined;
  metadata?: Record<string, string> | undefined;
  /** Waits until the deadline for a server that is unavailable (it may be restarting). */
  patient?: boolean | undefined;
  /** Retries a repeatable method up to 3 times if the server could not be reached. */
  retry?: boolean | undefined;
  /** Rejects with the server's own error, decoded, instead of DEPENDENCY_UNAVAILABLE. */
  refusals?: boolean | undefined;
  /**
   * Rejects with the server's own error if it may be passed to the caller of this process: if it is
   * about the request, and not about the server or this process as its client.
   */
  passRefusals?: boolean | undefined;
};

// Streams first, because a stream object has every member of a unary call and would match that too.
type ConnectedMethod<Method> = Method extends (
  request: infer Request,
  metadata?: Metadata,
  options?: Partial<GrpcCallOptions>,
) => ClientReadableStream<infer Response>
  ? (request: Request, options?: CallOptions) => AsyncIterable<Response>
  : Method extends (
        request: infer Request,
        metadata: Metadata,
        options: Partial<GrpcCallOptions>,
        callback: (error: ServiceError | null, response: infer Response) => void,
      ) => ClientUnaryCall
    ? (request: Request, options?: CallOptions) => Promise<Response>
    : never;

/**
 * A generated client's methods as functions that return promises, or async iterables for streams.
 */
export type Connected<Generated> = {
  [Name in Exclude<keyof Generated, keyof Client>]: ConnectedMethod<Generated[Name]>;
};

type Definition = Record<string, MethodDefinition<unknown, unknown>>;
type ClientClass<Generated> = {
  new (...options: never[]): Generated;
  service: object;
  serviceName: string;
};

/**
 * A lazy channel to `host:port`, or to the first address of `ipv4:<address>:<port>,…` that
 * responds. Close it, or declare it with `using`. Connects only to the server `expected`.
 */
export function createChannel(
  address: string,
  tls: ClientTls,
  options: ChannelOptions = {},
  expected?: ExpectedServer,
): RpcChannel {
  const credentials = clientCredentials(tls, expected);
  const channel = new Channel(address, credentials, {
    ...channelOptions,
    ...loopbackOptions(address),
    ...options,
  });
  const close = () => channel.close();
  return { address, credentials, channel, close, [Symbol.dispose]: close };
}

/**
 * The methods of a generated `XxxClient` on a channel. Every failure rejects with
 * DEPENDENCY_UNAVAILABLE, unless `refusals` or `passRefusals` requests the server's own error.
 */
export function connect<Generated extends Client>(
  generated: ClientClass<Generated>,
  { address, credentials, channel }: RpcChannel,
  defaults: CallOptions = {},
): Connected<Generated> {
  const client = new Client(address, credentials, { channelOverride: channel });
  const methods = Object.entries(generated.service as Definition).map(([name, method]) => {
    const peer = { client, method, serviceName: generated.serviceName };
    const invoke = method.responseStream ? streamed : unary;
    return [
      name,
      (request: unknown, options?: CallOptions) =>
        invoke(peer, request, { ...defaults, ...options }),
    ];
  });
  return Object.fromEntries(methods);
}

/**
 * TLS does not support addresses as server names, and Node warns about them; for loopback a name is
 * used.
 */
function loopbackOptions(address: string): ChannelOptions {
  return /^(ipv4:|ipv6:)?(127\.0\.0\.1|\[::1\]):/.test(address)
    ? { 'grpc.ssl_target_name_override': 'localhost' }
    : {};
}

type Peer = { client: Client; method: MethodDefinition<unknown, unknown>; serviceName: string };

/** The call is part of the active trace, if there is one. */
function unary(peer: Peer, request: unknown, options: CallOptions): Promise<unknown> {
  return traced(clientSpanOf(peer), () => untracedUnary(peer, request, options));
}

function clientSpanOf({ method }: Peer) {
  return { ...spanOf(method.path), kind: 'client' } as const;
}

async function untracedUnary(peer: Peer, request: unknown, options: CallOptions): Promise<unknown> {
  const { signal, deadlineMs = deadlineDefaultMs } = options;
  signal?.throwIfAborted();
  const deadline = Date.now() + deadlineMs;
  try {
    if (!options.retry) return await unaryOnce(peer, request, deadline, options);
    if (!isRepeatable(peer.method.path))
      throw new TypeError(`${peer.method.path} is not repeatable`);
    return await retry(() => unaryOnce(peer, request, deadline, options), {
      ...retryLimits,
      isRetryable: (error) => Date.now() < deadline && isUnreached(error),
      signal: signal ?? neverAborted,
    });
  } catch (error) {
    throw rejection(peer, error, options);
  }
}

function unaryOnce(
  { client, method }: Peer,
  request: unknown,
  deadline: number,
  options: CallOptions,
): Promise<unknown> {
  const { signal } = options;
  return new Promise((resolve, reject) => {
    const call = client.makeUnaryRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      request,
      metadataOf(options),
      { deadline },
      (error, response) => {
        signal?.removeEventListener('abort', cancel);
        if (error === null) resolve(response);
        else reject(error);
      },
    );
    const cancel = () => call.cancel();
    signal?.addEventListener('abort', cancel, { once: true });
  });
}

async function* streamed(
  peer: Peer,
  request: unknown,
  options: CallOptions,
): AsyncGenerator<unknown> {
  const { signal, deadlineMs } = options;
  signal?.throwIfAborted();
  const { client, method } = peer;
  const span = beginChildSpan(clientSpanOf(peer));
  const start = () =>
    client.makeServerStreamRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      request,
      metadataOf(options),
      deadlineMs === undefined ? {} : { deadline: Date.now() + deadlineMs },
    );
  const call = span === undefined ? start() : span.run(start);
  const cancel = () => call.cancel();
  call.on('error', () => {}); // the stream was cancelled because its reader has stopped
  signal?.addEventListener('abort', cancel, { once: true });
  try {
    for await (const response of call) yield response;
  } catch (error) {
    span?.end({ error: nameOf(error) });
    throw rejection(peer, error, options);
  } finally {
    signal?.removeEventListener('abort', cancel);
    call.cancel();
    span?.end();
  }
}

/** Converts the failure of a dependency to an error of Silo. */
function rejection(peer: Peer, error: unknown, options: CallOptions): unknown {
  const { signal, refusals, passRefusals } = options;
  if (signal?.aborted) return signal.reason;
  if (error instanceof TypeError) return error;
  const refusal = fromStatus(error);
  if (refusals) return refusal ?? error;
  if (passRefusals && refusal !== undefined && !isBetweenServers(refusal)) return refusal;
  return errors.dependencyUnavailable(peer.serviceName, error);
}

function isUnreached(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === status.UNAVAILABLE;
}

function metadataOf({ metadata: entries = {}, patient = false }: CallOptions): Metadata {
  const metadata = new Metadata({ waitForReady: patient });
  for (const [key, value] of Object.entries({ ...traceHeaders(), ...entries })) {
    if (value !== undefined) metadata.set(key, value);
  }
  return metadata;
}

const neverAborted = new AbortController().signal;
