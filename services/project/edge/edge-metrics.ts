import {
  type CaptureOutcome,
  CaptureResult,
} from '@silo/protos/gen/silo/project/v1/event_service.ts';
import { type Metrics, readAtScrape } from '@silo/runtime/metrics.ts';
import { Counter, Histogram } from 'prom-client';
import type { HeldBytes } from './held-bytes.ts';
import type { HttpRefusal } from './http-refusal.ts';

const resultNames: Partial<Record<CaptureResult, string>> = {
  [CaptureResult.CAPTURE_RESULT_STORED]: 'stored',
  [CaptureResult.CAPTURE_RESULT_DUPLICATE]: 'duplicate',
  [CaptureResult.CAPTURE_RESULT_REFUSED]: 'refused',
};

export type EdgeMetrics = {
  /** A request was answered. */
  answered(route: string, status: number, seconds: number): void;
  /** A request was refused. */
  refused(refusal: HttpRefusal): void;
  /** Events of a request had these outcomes. */
  captured(outcomes: readonly CaptureOutcome[]): void;
  /** Events were forwarded to another region. */
  forwarded(region: string, count: number): void;
};

/** The metrics of the HTTP edge. */
export function measureEdge(metrics: Metrics, held: HeldBytes): EdgeMetrics {
  const registers = [metrics];
  const requests = new Histogram({
    name: 'silo_edge_request_duration_seconds',
    help: 'Time from the headers of an HTTP request to its response, by route and status.',
    labelNames: ['route', 'status'],
    buckets: [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10],
    registers,
  });
  const refusals = new Map<string, { status: string; reason: string; count: number }>();
  readAtScrape(
    'counter',
    metrics,
    {
      name: 'silo_edge_refusals_total',
      help: 'HTTP requests that were refused, by status and reason.',
      labels: ['status', 'reason'],
    },
    () => Array.from(refusals.values(), ({ count, ...labels }) => [labels, count] as const),
  );
  const events = new Counter({
    name: 'silo_edge_events_total',
    help: 'Events of HTTP requests, by outcome.',
    labelNames: ['result'],
    registers,
  });
  const forwarded = new Map<string, number>();
  readAtScrape(
    'counter',
    metrics,
    {
      name: 'silo_edge_forwarded_events_total',
      help: 'Events that were forwarded to the region to which their project has migrated.',
      labels: ['to'],
    },
    () => Array.from(forwarded, ([to, count]) => [{ to }, count] as const),
  );
  readAtScrape(
    'counter',
    metrics,
    { name: 'silo_edge_received_bytes_total', help: 'Bytes of bodies of HTTP requests.' },
    () => held.received,
  );
  readAtScrape(
    'gauge',
    metrics,
    { name: 'silo_edge_held_bytes', help: 'Bytes that the bodies of HTTP requests hold now.' },
    () => held.held,
  );
  readAtScrape(
    'gauge',
    metrics,
    { name: 'silo_edge_held_bytes_max', help: 'Maximum of silo_edge_held_bytes: EDGE_HELD_BYTES.' },
    () => held.max,
  );
  // Looking up labels costs more than counting: look them up once for each kind of response.
  const kinds = new Map<string, Histogram.Internal<string>>();
  return {
    answered: (route, status, seconds) => {
      const key = `${status} ${route}`;
      const kind = kinds.get(key) ?? requests.labels(route, String(status));
      kinds.set(key, kind);
      kind.observe(seconds);
    },
    refused: ({ status, reason }) => {
      const key = `${status} ${reason}`;
      const kind = refusals.get(key) ?? { status: String(status), reason, count: 0 };
      refusals.set(key, kind);
      kind.count++;
    },
    captured: (outcomes) => {
      for (const { result } of outcomes) events.inc({ result: resultNames[result] ?? 'unknown' });
    },
    forwarded: (region, count) => {
      forwarded.set(region, (forwarded.get(region) ?? 0) + count);
    },
  };
}
