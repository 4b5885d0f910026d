import { type Metrics, readAtScrape } from '@silo/runtime/metrics.ts';
import { Histogram } from 'prom-client';

/** Counts one call that has ended, and records its duration if it was admitted. */
export type MeasureCall = (
  method: string,
  code: string,
  reason: string,
  seconds: number | undefined,
) => void;

const bucketsSeconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

// Both ports of a process share the metrics.
const measures = new WeakMap<Metrics, MeasureCall>();

/** The metrics of a process's calls. Methods, codes and reasons are those of the protos. */
export function measureCalls(metrics: Metrics): MeasureCall {
  const measure = measures.get(metrics) ?? createMeasure(metrics);
  measures.set(metrics, measure);
  return measure;
}

type Kind = {
  labels: { method: string; code: string; reason: string };
  calls: number;
  durations: Histogram.Internal<string>;
};

function createMeasure(metrics: Metrics): MeasureCall {
  // A look-up of labels costs more than counting, so it is done once for each kind of call.
  const kinds = new Map<string, Kind>();
  const durations = new Histogram({
    name: 'silo_rpc_duration_seconds',
    help: 'Time from the arrival of an admitted call to its response, by method and reason.',
    labelNames: ['method', 'reason'],
    buckets: bucketsSeconds,
    registers: [metrics],
  });
  readAtScrape(
    'counter',
    metrics,
    {
      name: 'silo_rpc_calls_total',
      help: 'Completed calls by method, gRPC code and reason.',
      labels: ['method', 'code', 'reason'],
    },
    () => Array.from(kinds.values(), ({ labels, calls }) => [labels, calls] as const),
  );
  return (method, code, reason, seconds) => {
    const key = `${method} ${code} ${reason}`;
    let kind = kinds.get(key);
    if (kind === undefined) {
      const labels = { method, code, reason };
      kind = { labels, calls: 0, durations: durations.labels(method, reason) };
      kinds.set(key, kind);
    }
    kind.calls++;
    if (seconds !== undefined) kind.durations.observe(seconds);
  };
}
