import {
  type CaptureOutcome,
  CaptureResult,
} from '@silo/protos/gen/silo/project/v1/event_service.ts';
import type { Metrics } from '@silo/runtime/metrics.ts';
import { Counter, Gauge, Histogram } from 'prom-client';
import type { HeldBytes } from './held-bytes.ts';

const resultNames: Partial<Record<CaptureResult, string>> = {
  [CaptureResult.CAPTURE_RESULT_STORED]: 'stored',
  [CaptureResult.CAPTURE_RESULT_DUPLICATE]: 'duplicate',
  [CaptureResult.CAPTURE_RESULT_REFUSED]: 'refused',
};

export type EdgeMetrics = {
  /** A request was answered. */
  answered(route: string, status: number, seconds: number): void;
  /** Events of a request had these outcomes. */
  captured(outcomes: readonly CaptureOutcome[]): void;
};

/** The metrics of the HTTP edge. */
export function measureEdge(metrics: Metrics, held: HeldBytes): EdgeMetrics {
  const registers = [metrics];
  const requests = new Histogram({
    name: 'silo_edge_request_seconds',
    help: 'Time from the headers of an HTTP request to its answer',
    labelNames: ['route', 'status'],
    buckets: [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10],
    registers,
  });
  const events = new Counter({
    name: 'silo_edge_events_total',
    help: 'Events of HTTP requests, by what became of them',
    labelNames: ['result'],
    registers,
  });
  new Gauge({
    name: 'silo_edge_held_bytes',
    help: 'Bytes that the bodies of HTTP requests hold',
    registers,
    collect() {
      this.set(held.held);
    },
  });
  return {
    answered: (route, status, seconds) => requests.observe({ route, status }, seconds),
    captured: (outcomes) => {
      for (const { result } of outcomes) events.inc({ result: resultNames[result] ?? 'unknown' });
    },
  };
}
