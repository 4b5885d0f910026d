import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { collectDefaultMetrics, Registry } from 'prom-client';
import type { HostPort } from './config.ts';

/** The metrics of a process: a prom-client registry. */
export type Metrics = Registry;

/** Metrics that are labelled with `service` and `region`, process metrics included. */
export function createMetrics(labels: { service: string; region: string }): Metrics {
  const metrics = new Registry();
  metrics.setDefaultLabels(labels);
  collectDefaultMetrics({ register: metrics });
  return metrics;
}

export type MetricsServer = AsyncDisposable & { address: HostPort };

/**
 * Serves `GET /metrics` over plain HTTP until it is disposed of or `signal` aborts.
 * Rejects if the address cannot be bound. Returns the bound address.
 */
export async function serveMetrics(
  address: HostPort,
  metrics: Metrics,
  signal?: AbortSignal,
): Promise<MetricsServer> {
  signal?.throwIfAborted();
  const server = createServer((request, response) => {
    const path = request.url?.split('?', 1)[0];
    if (path !== '/metrics')
      return respond(response, 404, 'not found: the only path is /metrics\n');
    if (request.method !== 'GET') return respond(response, 405, 'only GET\n');
    metrics.metrics().then(
      (text) => respond(response, 200, text, metrics.contentType),
      () => respond(response, 500, 'the metrics could not be collected\n'),
    );
  });
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
