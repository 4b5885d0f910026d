import type { SecureServerOptions } from 'node:http2';
import { type MethodDefinition, Server, type UntypedServiceImplementation } from '@grpc/grpc-js';
import { type Image, loadCommentedImage, loadImage } from '@silo/protos/image.ts';
import { systemSleep } from '@silo/runtime/clock.ts';
import { createListenerRefusals } from '@silo/runtime/listener-refusals.ts';
import type { Metrics } from '@silo/runtime/metrics.ts';
import type { Logger } from 'pino';
import type { AdmissionOptions } from './admit.ts';
import { authenticateHeader } from './authenticate-header.ts';
import { createCallReport } from './call-report.ts';
import { Front } from './front.ts';
import { createHealth, type Health } from './health.ts';
import { createIdentify } from './identity.ts';
import {
  anyoneRequestBytesMax,
  defaultLimits,
  headerBytesMax,
  idleConnectionMs,
  type PortLimits,
  publicRequestBytesMax,
  resets,
  untrustedStreamsMax,
  untrustedWindowBytes,
} from './limits.ts';
import { compileRules, type MethodRules } from './method-rules.ts';
import type { Mounted, MountedMethod } from './mount.ts';
import { type Deadlines, type Pipeline, serveStream, serveUnary } from './pipeline.ts';
import type { Propagate } from './propagation.ts';
import { addReflection } from './reflection.ts';
import { issuerCheck, type ServerTls, serverCredentials } from './tls.ts';
import { refuseUnknownMethods } from './unknown-method.ts';
import { shapeValidator } from './validate.ts';

const healthServiceName = 'grpc.health.v1.Health';
const deadlinesDefault: Deadlines = { defaultMs: 10_000, maxMs: 30_000 };
// A certificate is verified once per connection; so after a root is removed, no connection outlives
// this age.
const connectionAgeDefaultMs = 60 * 60 * 1_000;
/** Grace period for the streams of such a connection; readers reopen theirs. */
const connectionGraceMs = 5 * 60 * 1_000;
/** Time for calls in flight when a server drains. */
export const drainDefaultMs = 10_000;
const lastAnswersMs = 250;

export type ServerOptions = AdmissionOptions & {
  /** `host:port`; port 0 picks a free port. */
  address: string;
  tls: ServerTls;
  /**
   * An internal port: requires a client certificate, and serves only the packages `….internal.v1`.
   */
  internal: boolean;
  services: readonly Mounted[];
  /** Required if a method may end access: its response waits for this. */
  propagate?: Propagate | undefined;
  log: Logger;
  metrics?: Metrics | undefined;
  deadlines?: Partial<Deadlines> | undefined;
  /** Approximate maximum age of a connection of an internal port; an hour by default. */
  connectionAgeMaxMs?: number | undefined;
  /** Default: `defaultLimits`. */
  limits?: PortLimits | undefined;
  image?: Image | undefined;
};

export type RunningServer = AsyncDisposable & {
  /** `host:port` of the bound address. */
  address: string;
  health: Health;
  /**
   * Stops the server: health is NOT_SERVING, new calls fail with DRAINING, streams end, calls in
   * flight may finish for `withinMs` (10,000 by default), then they are aborted. Idempotent.
   */
  drain(withinMs?: number): Promise<void>;
  /** The first half of drain: resolves when no call is in flight; connections stay open. */
  quieten(withinMs?: number): Promise<void>;
  /**
   * Resolves when the unary calls in flight now have ended, or after `withinMs`; new calls are
   * served.
   */
  settled(withinMs: number): Promise<void>;
};

/** Serves these services, health and reflection on one port. Rejects if it cannot be bound. */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { services, log, internal, image = loadImage() } = options;
  const report = createCallReport(log, options.metrics);
  const validator = shapeValidator(image);
  const rules = new Map(
    services
      .flatMap(({ methods }) => methods)
      .map((method) => [method.path, compileRules(image, validator, method)]),
  );
  // The largest size of any method: admission refuses a request that exceeds its own method's
  // maximum.
  const requestBytesMax = Math.max(
    publicRequestBytesMax,
    ...Array.from(rules.values(), (each) => each.requestBytesMax),
  );
  const front = new Front({
    limits: options.limits ?? defaultLimits,
    internal,
    takesCaptures: requestBytesMax > publicRequestBytesMax,
    requestBytesMaxOf: (path) => rules.get(path)?.requestBytesMax ?? anyoneRequestBytesMax,
    authenticate: async (path, authorization, signal) => {
      const ruled = rules.get(path);
      return (
        ruled !== undefined && (await authenticateHeader(ruled, authorization, options, signal))
      );
    },
    reportRefused: report.refused,
    reportListener: createListenerRefusals(internal ? 'internal' : 'public', options),
  });
  const pipeline: Pipeline = {
    admission: options,
    deadlines: { ...deadlinesDefault, ...options.deadlines },
    log,
    report: report.answered,
    identify: createIdentify(issuerCheck(options.tls, options.region)),
    arrivalOf: (call) => front.arrivalOf(call),
    propagate: options.propagate,
    serving: { calls: new Set(), streams: new Set(), draining: false },
  };
  const server = new Server({
    'grpc.keepalive_time_ms': 30_000,
    'grpc.keepalive_timeout_ms': 10_000,
    // channelz is not used, and its counts cost time in every call and connection.
    'grpc.enable_channelz': 0,
    ...(internal && {
      'grpc.max_connection_age_ms': options.connectionAgeMaxMs ?? connectionAgeDefaultMs,
      'grpc.max_connection_age_grace_ms': connectionGraceMs,
    }),
    ...(!internal && {
      'grpc.max_receive_message_length': requestBytesMax,
      'grpc.max_connection_idle_ms': idleConnectionMs,
    }),
  });
  refuseUnknownMethods(server, (call, path, error) =>
    report.refused(path, front.arrivalOf(call).address, error),
  );
  for (const service of services) addService(server, service, pipeline, rules, internal);
  const serviceNames = services.map(({ serviceName }) => serviceName);
  const handlerBegan = (call: object) => void front.arrivalOf(call);
  const health = createHealth(serviceNames, handlerBegan);
  health.addTo(server);
  const describedImage = () => options.image ?? loadCommentedImage();
  addReflection(server, describedImage, [...serviceNames, healthServiceName], handlerBegan);
  const address = await bind(server, options);
  front.watch(server);
  let quiet: Promise<void> | undefined;
  const quieten = (withinMs = drainDefaultMs) => {
    quiet ??= endCalls(pipeline, health, withinMs);
    return quiet;
  };
  let drained: Promise<void> | undefined;
  const drain = (withinMs?: number) => {
    drained ??= quieten(withinMs).then(async () => {
      await close(server);
      front[Symbol.dispose]();
    });
    return drained;
  };
  const settled = async (withinMs: number) => {
    const { calls } = pipeline.serving;
    const admitted = [...calls];
    await until(() => !admitted.some((call) => calls.has(call)), withinMs);
  };
  return { address, health, drain, quieten, settled, [Symbol.asyncDispose]: () => drain() };
}

function addService(
  server: Server,
  { serviceName, methods }: Mounted,
  pipeline: Pipeline,
  rules: ReadonlyMap<string, MethodRules>,
  internal: boolean,
): void {
  if (serviceName.includes('.internal.') !== internal) {
    throw new TypeError(
      `${serviceName} cannot be served on the ${internal ? 'internal' : 'public'} port`,
    );
  }
  const implementation: UntypedServiceImplementation = {};
  for (const method of methods) {
    const ruled = rules.get(method.path);
    if (ruled === undefined) throw new TypeError(`${method.path} has no rules`);
    implementation[method.path] = method.streams
      ? serveStream(method, ruled, pipeline)
      : serveUnary(method, ruled, pipeline);
  }
  server.addService(
    Object.fromEntries(methods.map((method) => [method.path, bytesMethod(method)])),
    implementation,
  );
}

// The pipeline decodes and encodes messages, because an error inside grpc-js would be a bare
// INTERNAL.
function bytesMethod({ path, streams }: MountedMethod): MethodDefinition<Buffer, Buffer> {
  const same = (bytes: Buffer) => bytes;
  return {
    path,
    requestStream: false,
    responseStream: streams,
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  };
}

/** Settings for both ports; clients of an internal port may open any number of streams. */
function http2Options(internal: boolean): SecureServerOptions {
  return {
    settings: {
      maxHeaderListSize: headerBytesMax,
      ...(!internal && {
        maxConcurrentStreams: untrustedStreamsMax,
        initialWindowSize: untrustedWindowBytes,
      }),
    },
    ...(!internal && { streamResetBurst: resets.burst, streamResetRate: resets.perSecond }),
  };
}

function bind(server: Server, { address, tls, internal }: ServerOptions): Promise<string> {
  return new Promise((resolve, reject) => {
    server.bindAsync(
      address,
      serverCredentials(tls, internal, http2Options(internal)),
      (error, port) => {
        if (error === null) resolve(`${address.slice(0, address.lastIndexOf(':'))}:${port}`);
        else reject(error);
      },
    );
  });
}

async function endCalls({ serving }: Pipeline, health: Health, withinMs: number): Promise<void> {
  health.setServing(false);
  serving.draining = true;
  for (const stream of serving.streams) stream.end('shutdown');
  const { calls, streams } = serving;
  if (!(await until(() => calls.size === 0, withinMs))) {
    for (const call of calls) call.end('shutdown');
    await until(() => calls.size === 0, lastAnswersMs);
  }
  await until(() => streams.size === 0, lastAnswersMs);
}

async function close(server: Server): Promise<void> {
  // Pending responses leave with the connections; then the remaining connections are cut.
  const closed = new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
  await Promise.race([closed, systemSleep(lastAnswersMs)]);
  server.forceShutdown();
}

const lookAgainMs = 5;

/** Waits for the condition, at most `withinMs`; returns whether it holds. */
async function until(condition: () => boolean, withinMs: number): Promise<boolean> {
  const endMs = performance.now() + withinMs;
  while (!condition() && performance.now() < endMs) await systemSleep(lookAgainMs);
  return condition();
}
