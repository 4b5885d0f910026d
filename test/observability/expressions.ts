import { parser } from '@prometheus-io/lezer-promql';

/** What a PromQL expression reads: metrics, and the labels by which it selects, groups or joins. */
export type ReadBy = { metrics: string[]; labels: string[] };

/** Parses an expression of a dashboard or a rule; throws if it is not PromQL. */
export function readBy(expression: string): ReadBy {
  // Grafana replaces it with a duration.
  const text = expression.replaceAll('$__rate_interval', '5m');
  const read: ReadBy = { metrics: [], labels: [] };
  parser.parse(text).iterate({
    enter: ({ name, from, to, type }) => {
      if (type.isError) throw new Error(`not PromQL at ${from}: ${text}`);
      if (name === 'Identifier') read.metrics.push(text.slice(from, to));
      if (name === 'LabelName') read.labels.push(text.slice(from, to));
    },
  });
  return read;
}
