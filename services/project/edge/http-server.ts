import { STATUS_CODES } from 'node:http';
import type { DropArgument, Socket } from 'node:net';
import cors from '@fastify/cors';
import { SiloError } from '@silo/errors/silo-error.ts';
import { networkOf } from '@silo/rpc/client-address.ts';
import type { PortLimits } from '@silo/rpc/limits.ts';
import {
  type ReportListenerRefusal,
  reasonOfClientError,
} from '@silo/runtime/listener-refusals.ts';
import type { Log } from '@silo/runtime/log.ts';
import { isTracing } from '@silo/runtime/tracing.ts';
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify';
import type { EdgeMetrics } from './edge-metrics.ts';
import { HttpRefusal } from './http-refusal.ts';
import { createRefusalLines } from './refusal-lines.ts';
import { traceRequests } from './trace-requests.ts';

/** Timeouts of an HTTP server for slow clients. */
export type HttpServerTimes = {
  headersMs: number;
  /** Maximum time from the first byte of a request to its last. */
  requestMs: number;
  /** Interval of the checks of both timeouts. */
  checkMs: number;
  /** Maximum idle time between two requests. */
  keepAliveMs: number;
};

export type HttpServerSettings = {
  /** Proxies whose `X-Forwarded-For` names the client: addresses or CIDRs. */
  trustedProxies: readonly string[];
  limits: PortLimits;
  times: HttpServerTimes;
};

type Dependencies = {
  /** If true, new requests are refused. */
  state: { isDraining: boolean };
  metrics: EdgeMetrics;
  /** Reports what is refused before its headers are read. */
  reportListener: ReportListenerRefusal;
  log: Log;
};

const headerBytesMax = 16 * 1_024;
const preflightSeconds = 86_400;
/** Time for which a client that is still sending can read why it was refused. */
const lingerMs = 1_000;

const mediaType = /^[\w!#$%&'*+.^`|~-]+\/[\w!#$%&'*+.^`|~-]+\s*(;|$)/;

/**
 * Makes an HTTP server without routes, with limits for clients, CORS on every response, and
 * refusals as JSON. The routes read the bodies themselves, after all checks that need no body.
 */
export async function createHttpServer(
  { trustedProxies, limits, times }: HttpServerSettings,
  { state, metrics, reportListener, log }: Dependencies,
): Promise<FastifyInstance> {
  /** The origin of the last request of each connection. */
  const origins = new WeakMap<Socket, string>();
  /** The last request of each connection, until it is answered. */
  const unanswered = new WeakMap<Socket, FastifyRequest>();
  const reported = new WeakSet<FastifyRequest>();
  const logRefusal = createRefusalLines(log);
  const reportRequest = (request: FastifyRequest, refusal: HttpRefusal) => {
    // A request that Node refuses while its body is read also fails in its route.
    if (reported.has(request)) return;
    reported.add(request);
    metrics.refused(refusal);
    logRefusal(request, refusal);
  };
  const refuseBroken = (error: NodeJS.ErrnoException, socket: Socket) => {
    if (!socket.writable || error.code === 'ECONNRESET') {
      socket.destroy();
      return;
    }
    const refusal = refusalOfBroken(error);
    const request = unanswered.get(socket);
    if (request !== undefined && !request.raw.complete) reportRequest(request, refusal);
    else reportListener(reasonOfClientError(error), socket.remoteAddress, error.code);
    answerBroken(socket, refusal, origins.get(socket));
  };
  const app = fastify({
    trustProxy: trustedProxies.length > 0 ? [...trustedProxies] : false,
    requestTimeout: times.requestMs,
    keepAliveTimeout: times.keepAliveMs,
    http: {
      headersTimeout: times.headersMs,
      connectionsCheckingInterval: times.checkMs,
      maxHeaderSize: headerBytesMax,
      // Checked below: Node would refuse the request without reporting it.
      requireHostHeader: false,
    },
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    // Clients would follow a redirect to the path with a slash with GET, and take it for a success.
    routerOptions: { ignoreTrailingSlash: true, ignoreDuplicateSlashes: true },
    clientErrorHandler: refuseBroken,
    frameworkErrors: (_error, request, reply) => {
      reportRequest(request, HttpRefusal.badRequest);
      refuseUnroutable(request, reply);
    },
  });
  app.server.maxConnections = limits.connectionsMax;
  app.server.on('drop', (dropped?: DropArgument) =>
    reportListener('connections_max', dropped?.remoteAddress),
  );
  if (trustedProxies.length === 0) {
    limitConnectionsPerAddress(app, limits.connectionsPerAddressMax, reportListener);
  }
  // Node would close the connection of a CONNECT without reporting it.
  app.server.on('connect', (_, socket: Socket) => {
    // Node has removed its own listener: a reset by the client would end the process.
    socket.on('error', () => {});
    refuseBroken(new Error('CONNECT is not served'), socket);
  });
  // Node would refuse each expectation except 100-continue; RFC 9110 allows a server to ignore
  // them.
  app.server.on('checkExpectation', (request, response) => {
    app.server.emit('request', request, response);
  });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, _body, done) => done(null, undefined));
  // Register tracing first, so that the trace includes all later hooks.
  if (isTracing()) traceRequests(app);
  await app.register(cors, {
    origin: true,
    credentials: true,
    exposedHeaders: ['Retry-After'],
    maxAge: preflightSeconds,
    strictPreflight: false,
    optionsSuccessStatus: 200,
  });
  app.addHook('onRequest', async (request) => {
    const { headers, httpVersion, socket } = request.raw;
    unanswered.set(socket, request);
    if (headers.origin !== undefined) origins.set(socket, headers.origin);
    if (headers.host === undefined && httpVersion === '1.1') throw HttpRefusal.badRequest;
    if (state.isDraining) throw HttpRefusal.draining;
    // Fastify would refuse an invalid content type, but the routes can read the body without it.
    if (!mediaType.test(headers['content-type'] ?? '')) delete headers['content-type'];
  });
  app.addHook('onResponse', async (request, reply) => {
    const { socket } = request.raw;
    if (unanswered.get(socket) === request) unanswered.delete(socket);
    const route = request.routeOptions.url ?? 'none';
    metrics.answered(route, reply.statusCode, reply.elapsedTime / 1_000);
  });
  app.setNotFoundHandler(async () => {
    throw HttpRefusal.notFound;
  });
  app.setErrorHandler(async (error, request, reply) => {
    const refusal = refusalOf(error, request, log);
    reportRequest(request, refusal);
    return await send(reply, refusal);
  });
  return app;
}

function refusalOf(error: unknown, request: FastifyRequest, log: Log): HttpRefusal {
  if (error instanceof HttpRefusal) return error;
  if (error instanceof SiloError) return HttpRefusal.of(error);
  if (error instanceof Error && error.name === 'TimeoutError') return HttpRefusal.overloaded;
  if (error instanceof Error && 'statusCode' in error && Number(error.statusCode) < 500) {
    return HttpRefusal.badRequest;
  }
  // The client has disconnected: nobody receives the response.
  if (request.raw.destroyed && !request.raw.complete) return HttpRefusal.overloaded;
  log.error({ err: error, route: request.routeOptions.url }, 'HTTP request failed');
  return HttpRefusal.overloaded;
}

async function send(reply: FastifyReply, refusal: HttpRefusal): Promise<FastifyReply> {
  const { status, reason, message, retryAfterSeconds } = refusal;
  if (retryAfterSeconds !== undefined) reply.header('retry-after', retryAfterSeconds);
  if (reason === 'DRAINING') reply.header('connection', 'close');
  return await reply.code(status).send({ status: 0, error: { reason, message } });
}

/**
 * Refuses requests that Fastify rejects before routing. No hook runs for them: set the CORS headers
 * here.
 */
function refuseUnroutable(request: FastifyRequest, reply: FastifyReply): void {
  const { origin } = request.headers;
  if (origin !== undefined) {
    reply.header('access-control-allow-origin', origin);
    reply.header('access-control-allow-credentials', 'true');
  }
  void send(reply, HttpRefusal.badRequest);
}

/** The refusal of a request that Node rejects: malformed HTTP, or a timeout. */
function refusalOfBroken(error: NodeJS.ErrnoException): HttpRefusal {
  const reason = reasonOfClientError(error);
  if (reason === 'timeout') return HttpRefusal.requestTimeout;
  return reason === 'headers_too_large'
    ? HttpRefusal.headersTooLarge(headerBytesMax)
    : HttpRefusal.invalidHttp;
}

/**
 * Answers a request that Node rejects. If the connection has had no earlier request, its origin is
 * not known: then any origin may read the response, without credentials.
 */
function answerBroken(socket: Socket, refusal: HttpRefusal, origin: string | undefined): void {
  const { status, reason, message, retryAfterSeconds } = refusal;
  const retryAfter = retryAfterSeconds === undefined ? '' : `Retry-After: ${retryAfterSeconds}\r\n`;
  const allowed =
    origin === undefined
      ? 'Access-Control-Allow-Origin: *'
      : `Access-Control-Allow-Origin: ${origin}\r\nAccess-Control-Allow-Credentials: true\r\nVary: Origin`;
  const body = JSON.stringify({ status: 0, error: { reason, message } });
  // Node waits for the end of the connection, which a client that keeps sending may leave open.
  const lingering = setTimeout(() => socket.destroy(), lingerMs);
  socket.once('close', () => clearTimeout(lingering));
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${retryAfter}${allowed}\r\n` +
      'Access-Control-Expose-Headers: Retry-After\r\nConnection: close\r\n' +
      `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    // Node decodes headers as Latin-1.
    'latin1',
  );
}

function limitConnectionsPerAddress(
  { server }: FastifyInstance,
  max: number,
  report: ReportListenerRefusal,
): void {
  const counts = new Map<string, number>();
  server.on('connection', (socket: Socket) => {
    const network = networkOf(socket.remoteAddress);
    const count = (counts.get(network) ?? 0) + 1;
    if (count > max) {
      report('connections_per_address_max', socket.remoteAddress);
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
