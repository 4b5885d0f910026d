import { beginSpan, type OpenSpan } from '@silo/runtime/tracing.ts';
import type { FastifyInstance, FastifyRequest } from 'fastify';

/**
 * Makes each request a span: a child of the caller's `traceparent`, or the root of a new trace.
 * Records routes instead of URLs, which may contain project tokens.
 */
export function traceRequests(app: FastifyInstance): void {
  const spans = new WeakMap<FastifyRequest, OpenSpan>();
  app.addHook('onRequest', (request, _reply, done) => {
    const { traceparent } = request.headers;
    const route = request.routeOptions.url ?? 'none';
    const span = beginSpan(
      {
        name: `${request.method} ${route}`,
        kind: 'server',
        attributes: { 'http.request.method': request.method, 'http.route': route },
      },
      { traceparent: textOf(traceparent) },
    );
    spans.set(request, span);
    span.run(done);
  });
  app.addHook('onResponse', async (request, { statusCode }) => {
    spans.get(request)?.end({
      error: statusCode >= 500 ? String(statusCode) : undefined,
      attributes: { 'http.response.status_code': statusCode },
    });
  });
}

function textOf(value: string | string[] | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
