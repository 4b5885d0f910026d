import { randomBytes, randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import cors from '@fastify/cors';
import { SiloError } from '@silo/errors/silo-error.ts';
import { networkOf } from '@silo/rpc/client-address.ts';
import type { PortLimits } from '@silo/rpc/limits.ts';
import { RateLimits } from '@silo/rpc/rate-limits.ts';
import type { Clock } from '@silo/runtime/clock.ts';
import { formatHostPort, type HostPort } from '@silo/runtime/config.ts';
import type { Log } from '@silo/runtime/log.ts';
import type { Metrics } from '@silo/runtime/metrics.ts';
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify';
import {
  bearerToken,
  readCaptureBody,
  readToken,
  tokenAtStart,
} from '../rules/edge/capture-body.ts';
import { sentEvent } from '../rules/edge/sent-event.ts';
import { timeOrderedUuid } from '../rules/events/uuid.ts';
import {
  answerV0,
  answerV1,
  captureEdgeBatch,
  type EdgeBatch,
  type EdgeCaptureUses,
} from './capture.ts';
import { measureEdge } from './edge-metrics.ts';
import { HeldBytes } from './held-bytes.ts';
import { HttpRefusal } from './http-refusal.ts';
import { readBody } from './read-body.ts';
import { configAnswer, configScript, flagsAnswer } from './start-up.ts';
import { type Sender, TokenGate, type TokenGateUses } from './token-gate.ts';

/** Settings of the HTTP edge. */
export type EdgeSettings = {
  address: HostPort;
  /** Proxies whose `X-Forwarded-For` names the client: addresses or CIDRs. */
  trustedProxies: readonly string[];
  /** What the bodies of all requests may hold in memory. */
  heldBytesMax: number;
  limits: PortLimits;
  /** For tests: else those of every edge. */
  times?: EdgeTimes;
};

/** How long the edge waits for slow clients. */
export type EdgeTimes = {
  headersMs: number;
  /** From the first byte of a request to its last: a slow client ends by then. */
  requestMs: number;
  /** How often both are checked. */
  checkMs: number;
  /** Between two requests. */
  keepAliveMs: number;
};

export type EdgeUses = Pick<TokenGateUses, 'access' | 'onTokenRefused'> &
  Pick<EdgeCaptureUses, 'capture'> & { metrics: Metrics; clock: Clock; log: Log };

/** An HTTP server that takes events of SDKs. Disposing drains it. */
export type Edge = AsyncDisposable & {
  /** `host:port` as it is bound. */
  address: string;
  /** Sets whether MongoDB responds. */
  setServing(isServing: boolean): void;
  /** Refuses new requests with 503, and resolves when the admitted ones are answered. */
  drain(): Promise<void>;
};

const edgeTimes: EdgeTimes = {
  headersMs: 10_000,
  requestMs: 60_000,
  checkMs: 5_000,
  // Longer than the idle times of common load balancers, so that these close first.
  keepAliveMs: 75_000,
};
const headerBytesMax = 16 * 1_024;
const preflightSeconds = 86_400;
const verifyMs = 3_000;
/** For a client that is still sending, to read why it was refused. */
const lingerMs = 1_000;

const mediaType = /^[\w!#$%&'*+.^`|~-]+\/[\w!#$%&'*+.^`|~-]+\s*(;|$)/;

const v0Paths = ['/batch', '/e', '/capture', '/i/v0/e'];
const v1Path = '/i/v1/analytics/events';

/** Opens the HTTP edge. Rejects if its address cannot be bound. */
export async function openEdge(settings: EdgeSettings, uses: EdgeUses): Promise<Edge> {
  const { address, trustedProxies, limits, times = edgeTimes } = settings;
  const held = new HeldBytes(settings.heldBytesMax);
  const rates = new RateLimits(limits.rates);
  const gate = new TokenGate({ ...uses, rates });
  const metrics = measureEdge(uses.metrics, held);
  const state = { isServing: false, isDraining: false };
  const app = fastify({
    trustProxy: trustedProxies.length > 0 ? [...trustedProxies] : false,
    requestTimeout: times.requestMs,
    keepAliveTimeout: times.keepAliveMs,
    http: {
      headersTimeout: times.headersMs,
      connectionsCheckingInterval: times.checkMs,
      maxHeaderSize: headerBytesMax,
    },
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    // A redirect to the path with a slash would be followed with GET, and taken for a success.
    routerOptions: { ignoreTrailingSlash: true, ignoreDuplicateSlashes: true },
    clientErrorHandler: refuseBrokenRequest,
    frameworkErrors: (_error, request, reply) => {
      // No hook runs for it, so none allows the origin.
      const { origin } = request.headers;
      if (origin !== undefined) {
        reply.header('access-control-allow-origin', origin);
        reply.header('access-control-allow-credentials', 'true');
      }
      void send(reply, HttpRefusal.badRequest());
    },
  });
  app.server.maxConnections = limits.connectionsMax;
  if (trustedProxies.length === 0) {
    limitConnectionsPerAddress(app, limits.connectionsPerAddressMax);
  }
  // Bodies are read by the routes themselves, after what can be refused without them.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, _body, done) => done(null, undefined));
  await app.register(cors, {
    origin: true,
    credentials: true,
    exposedHeaders: ['Retry-After'],
    maxAge: preflightSeconds,
    strictPreflight: false,
    optionsSuccessStatus: 200,
  });
  app.addHook('onRequest', async ({ raw: { headers } }) => {
    if (state.isDraining) throw HttpRefusal.draining();
    // Fastify refuses such a content type; what a body is, it says itself.
    if (!mediaType.test(headers['content-type'] ?? '')) delete headers['content-type'];
  });
  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? 'none';
    metrics.answered(route, reply.statusCode, reply.elapsedTime / 1_000);
  });
  app.setNotFoundHandler(async () => {
    throw HttpRefusal.notFound();
  });
  app.setErrorHandler(async (error, request, reply) => {
    return await send(reply, refusalOf(error, request, uses.log));
  });

  /** What a body says, as events of CaptureEvents: what it was parsed to can be collected then. */
  const eventsOf = (text: string, request: FastifyRequest, isV1: boolean): EdgeBatch => {
    const sender = senderOf(request);
    const receiveTime = uses.clock.now();
    const body = readCaptureBody(text);
    if (body === undefined) throw HttpRefusal.badBody('is not JSON with events');
    const bearer = bearerToken(request.headers.authorization);
    const token = isV1 ? (bearer ?? body.token) : (body.token ?? bearer);
    if (token === undefined) throw HttpRefusal.tokenInvalid();
    gate.refuseKnown(token, sender);
    const context = {
      ...{ token, receiveTime, sentAt: body.sentAt || sentAtOf(request) },
      ...{ isHistorical: body.isHistorical, address: sender.address },
      newUuid: () => timeOrderedUuid(receiveTime, randomBytes(10)),
      library: isV1 ? headerOf(request, 'posthog-sdk-info') : undefined,
    };
    return { token, sender, events: body.events.map((event) => sentEvent(event, context)) };
  };
  const capture = async (request: FastifyRequest, isV1: boolean): Promise<object> => {
    const sender = senderOf(request);
    const bearer = bearerToken(request.headers.authorization);
    if (isV1 && bearer !== undefined) gate.refuseKnown(bearer, sender);
    using share = held.begin();
    const text = await readBody(request.raw, share, (start) => {
      const token = isV1 && bearer !== undefined ? bearer : tokenAtStart(start);
      if (token !== undefined) gate.refuseKnown(token, sender);
    });
    const batch = eventsOf(text, request, isV1);
    const outcomes = await captureEdgeBatch(batch, { gate, rates, capture: uses.capture });
    metrics.captured(outcomes);
    return isV1 ? answerV1(batch.events, outcomes) : answerV0(batch.events, outcomes);
  };
  for (const path of v0Paths) app.post(path, (request) => capture(request, false));
  app.post(v1Path, (request) => capture(request, true));

  const verify = (token: string | undefined, request: FastifyRequest) => {
    if (token === undefined) throw HttpRefusal.tokenInvalid();
    return gate.verify(token, senderOf(request), AbortSignal.timeout(verifyMs));
  };
  for (const path of ['/flags', '/decide']) {
    app.post(path, async (request) => {
      using share = held.begin();
      const text = await readBody(request.raw, share, () => {});
      await verify(readToken(text) ?? bearerToken(request.headers.authorization), request);
      return flagsAnswer(randomUUID());
    });
  }
  app.get<{ Params: { token: string } }>('/array/:token/config', async (request) => {
    await verify(request.params.token, request);
    return configAnswer(request.params.token);
  });
  app.get<{ Params: { token: string } }>('/array/:token/config.js', async (request, reply) => {
    // A script that is refused is one that is not there.
    await verify(request.params.token, request).catch(notFoundIfRefused);
    return await reply
      .type('text/javascript; charset=utf-8')
      .send(configScript(request.params.token));
  });
  app.get('/healthz/live', async () => ({ status: 'live' }));
  app.get('/healthz/ready', async () => {
    if (!state.isServing) throw new HttpRefusal(503, 'NOT_SERVING', 'MongoDB does not respond.');
    return { status: 'ready' };
  });

  await app.listen({ host: address.host, port: address.port });
  const bound = app.server.address();
  const port = typeof bound === 'object' && bound !== null ? bound.port : address.port;
  let drained: Promise<void> | undefined;
  const drain = () => {
    state.isDraining = true;
    drained ??= app.close();
    return drained;
  };
  return {
    address: formatHostPort({ host: address.host, port }),
    setServing: (isServing) => {
      state.isServing = isServing;
    },
    drain,
    [Symbol.asyncDispose]: drain,
  };
}

function senderOf(request: FastifyRequest): Sender {
  const library = headerOf(request, 'posthog-sdk-info') ?? headerOf(request, 'user-agent') ?? '';
  const address = request.ip.replace(/^::ffff:(?=\d+\.)/i, '');
  return {
    address,
    network: networkOf(address),
    library,
    origin: headerOf(request, 'origin') ?? '',
  };
}

function headerOf({ headers }: FastifyRequest, name: string): string | undefined {
  const value = headers[name];
  return typeof value === 'string' ? value : value?.[0];
}

/** Only v1 says it in a header. */
function sentAtOf(request: FastifyRequest): string {
  return headerOf(request, 'posthog-request-timestamp') ?? '';
}

function notFoundIfRefused(error: unknown): never {
  if (error instanceof HttpRefusal && error.status === 401) throw HttpRefusal.notFound();
  throw error;
}

function refusalOf(error: unknown, request: FastifyRequest, log: Log): HttpRefusal {
  if (error instanceof HttpRefusal) return error;
  if (error instanceof SiloError) return HttpRefusal.of(error);
  if (error instanceof Error && error.name === 'TimeoutError') return HttpRefusal.overloaded();
  if (error instanceof Error && 'statusCode' in error && Number(error.statusCode) < 500) {
    return HttpRefusal.badRequest();
  }
  // Nobody receives the answer.
  if (request.raw.destroyed && !request.raw.complete) return HttpRefusal.overloaded();
  log.error({ err: error, route: request.routeOptions.url }, 'HTTP request failed');
  return HttpRefusal.overloaded();
}

async function send(reply: FastifyReply, refusal: HttpRefusal): Promise<FastifyReply> {
  const { status, reason, message, retryAfterSeconds } = refusal;
  if (retryAfterSeconds !== undefined) reply.header('retry-after', retryAfterSeconds);
  if (reason === 'DRAINING') reply.header('connection', 'close');
  return await reply.code(status).send({ status: 0, error: { reason, message } });
}

/** What Node refuses before there is a request: broken HTTP, and what took too long. */
function refuseBrokenRequest(error: NodeJS.ErrnoException, socket: Socket): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const isSlow = error.code === 'ERR_HTTP_REQUEST_TIMEOUT';
  const first = isSlow ? '503 Service Unavailable\r\nRetry-After: 1' : '400 Bad Request';
  const reason = isSlow ? 'REQUEST_TIMEOUT' : 'INVALID_REQUEST';
  const message = isSlow ? 'The request took too long. Send it again.' : 'This is not HTTP/1.1.';
  const body = JSON.stringify({ status: 0, error: { reason, message } });
  // A client that goes on sending may keep its side open, and Node waits for it.
  const lingering = setTimeout(() => socket.destroy(), lingerMs);
  socket.once('close', () => clearTimeout(lingering));
  socket.end(
    `HTTP/1.1 ${first}\r\nAccess-Control-Allow-Origin: *\r\nConnection: close\r\n` +
      `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}

function limitConnectionsPerAddress({ server }: FastifyInstance, max: number): void {
  const counts = new Map<string, number>();
  server.on('connection', (socket: Socket) => {
    const network = networkOf(socket.remoteAddress);
    const count = (counts.get(network) ?? 0) + 1;
    if (count > max) {
      socket.destroy();
      return;
    }
    counts.set(network, count);
    socket.once('close', () => {
      const left = (counts.get(network) ?? 1) - 1;
      if (left > 0) counts.set(network, left);
      else counts.delete(network);
    });
  });
}
