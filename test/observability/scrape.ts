/** A metric as a process serves it. */
export type ScrapedMetric = { type: string; labels: ReadonlySet<string>; samples: number };

/** Labels of every metric, and the label of histogram buckets. */
const common = new Set(['service', 'region', 'le']);

/** The metrics of texts in Prometheus' format, by name. */
export function scrape(texts: readonly string[]): Map<string, ScrapedMetric> {
  const metrics = new Map<string, { type: string; labels: Set<string>; samples: number }>();
  for (const line of texts.flatMap((text) => text.split('\n'))) {
    const [, declared, type] = /^# TYPE (\w+) (\w+)$/.exec(line) ?? [];
    if (declared !== undefined && type !== undefined && !metrics.has(declared)) {
      metrics.set(declared, { type, labels: new Set(), samples: 0 });
    }
    const [, sampled, labels] = /^(\w+)\{(.*)\} /.exec(line) ?? [];
    if (sampled === undefined || labels === undefined) continue;
    const histogram = sampled.replace(/_(bucket|sum|count)$/, '');
    const metric = metrics.get(sampled) ?? metrics.get(histogram);
    if (metric === undefined) throw new Error(`a sample without a type: ${line}`);
    metric.samples++;
    for (const [, label = ''] of labels.matchAll(/(\w+)="(?:[^"\\]|\\.)*"/g)) {
      if (!common.has(label)) metric.labels.add(label);
    }
  }
  return metrics;
}
