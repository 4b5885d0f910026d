import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { HostPort } from './config.ts';
import { race } from './deadline.ts';
import {
  createListenerRefusals,
  type ListenerRefusal,
  reasonOfClientError,
} from './listener-refusals.ts';
import type { Log } from './log.ts';

/** The metrics of a process: a prom-client registry. */
export type Metrics = Registry;

/**
 * The interval at which the delay of the event loop is sampled, which the measured delay includes.
 * At the default of 10 ms, an idle process uses four times as much CPU for it: 0.4 % of a core.
 */
const eventLoopSampleMs = 50;

/** Metrics that are labelled with `service` and `region`, process metrics included. */
export function createMetrics(labels: { service: string; region: string }): Metrics {
  const metrics = new Registry();
  metrics.setDefaultLabels(labels);
  collectDefaultMetrics({ register: metrics, eventLoopMonitoringPrecision: eventLoopSampleMs });
  return metrics;
}

/** A metric: its name contains the unit, and no label has a value that callers choose. */
export type Metric = { name: string; help: string; labels?: readonly string[] };

/** The samples of a metric by labels, or its only sample; undefined if none can be read now. */
export type Reading = number | undefined | Iterable<readonly [Record<string, string>, number]>;

/**
 * Registers a metric that is read at each scrape: between scrapes it costs nothing. A counter is
 * read as its total since the process started.
 */
export function readAtScrape(
  type: 'gauge' | 'counter',
  metrics: Metrics,
  { name, help, labels = [] }: Metric,
  read: () => Reading | Promise<Reading>,
): void {
  const MetricOfType = type === 'gauge' ? Gauge : Counter;
  new MetricOfType({
    ...{ name, help, labelNames: [...labels], registers: [metrics] },
    async collect() {
      const reading = await read();
      this.reset();
      if (reading === undefined) this.remove();
      else if (typeof reading === 'number') this.inc(reading);
      else for (const [labelled, value] of reading) this.inc(labelled, value);
    },
  });
}

/** Maximum time that a scrape waits for a database: Prometheus gives up after 10 s by default. */
const readWithinMs = 1_000;

/**
 * Shares one reading among the metrics of a scrape that use it. Undefined if it fails or takes too
 * long, so that the scrape still returns the others.
 */
export function sharedReading<T>(read: () => Promise<T>): () => Promise<T | undefined> {
  let current: Promise<T | undefined> | undefined;
  return () => {
    current ??= race(read(), AbortSignal.timeout(readWithinMs))
      .catch(() => undefined)
      .finally(() => {
        current = undefined;
      });
    return current;
  };
}

export type MetricsServer = AsyncDisposable & { address: HostPort };

/**
 * Serves `GET /metrics` over plain HTTP until it is disposed of or `signal` aborts.
 * Rejects if the address cannot be bound. Returns the bound address.
 */
export async function serveMetrics(
  address: HostPort,
  metrics: Metrics,
  { log, signal }: { log: Log; signal?: AbortSignal },
): Promise<MetricsServer> {
  signal?.throwIfAborted();
  const report = createListenerRefusals('metrics', { log, metrics });
  const serve = (request: IncomingMessage, response: ServerResponse) => {
    const { remoteAddress } = request.socket;
    if (request.headers.host === undefined && request.httpVersion === '1.1') {
      report('protocol', remoteAddress);
      return respond(response, 400, 'the header Host is missing\n');
    }
    const path = request.url?.split('?', 1)[0];
    if (path !== '/metrics' && path !== '/live') {
      report('not_found', remoteAddress);
      return respond(response, 404, 'not found: the paths are /metrics and /live\n');
    }
    if (request.method !== 'GET') {
      report('method_not_allowed', remoteAddress);
      return respond(response, 405, 'only GET\n');
    }
    // For probes, because a scrape costs statements, and some metrics cover the time since the last
    // scrape.
    if (path === '/live') return respond(response, 200, 'live\n');
    metrics.metrics().then(
      (text) => respond(response, 200, text, metrics.contentType),
      () => respond(response, 500, 'the metrics could not be collected\n'),
    );
  };
  const refuse = (error: NodeJS.ErrnoException, socket: Socket) => {
    if (socket.writable && error.code !== 'ECONNRESET') {
      const reason = reasonOfClientError(error);
      report(reason, socket.remoteAddress, error.code);
      socket.end(`HTTP/1.1 ${brokenStatus[reason] ?? badRequest}\r\nConnection: close\r\n\r\n`);
    }
    socket.destroySoon();
  };
  // Without these options and listeners, Node refuses some requests itself and reports nothing.
  const server = createServer({ requireHostHeader: false }, serve)
    .on('checkExpectation', serve)
    .on('connect', (_, socket: Socket) => {
      // Node has removed its own listener: a reset by the client would end the process.
      socket.on('error', () => {});
      refuse(new Error('CONNECT is not served'), socket);
    })
    .on('clientError', refuse);
  server.listen(address.port, address.host);
  await once(server, 'listening'); // rejects on 'error'
  const close = () => closeServer(server);
  signal?.addEventListener('abort', close, { once: true });
  if (signal?.aborted) await close();
  signal?.throwIfAborted();
  const port = portOf(server);
  return {
    address: { host: address.host, port },
    [Symbol.asyncDispose]: async () => {
      signal?.removeEventListener('abort', close);
      await close();
    },
  };
}

const badRequest = '400 Bad Request';
const brokenStatus: Partial<Record<ListenerRefusal, string>> = {
  timeout: '408 Request Timeout',
  headers_too_large: '431 Request Header Fields Too Large',
};

function respond(
  response: ServerResponse,
  status: number,
  body: string,
  type = 'text/plain',
): void {
  response.writeHead(status, { 'content-type': type }).end(body);
}

function portOf(server: Server): number {
  const bound = server.address();
  if (bound === null || typeof bound === 'string')
    throw new Error('the server is not bound to a port');
  return bound.port;
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve()); // an error only means that it was already closed
    server.closeAllConnections();
  });
}
