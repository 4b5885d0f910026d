/** A row of the tables of docs/metrics.md. */
export type DocumentedMetric = { type: string; labels: string[] };

/** The metrics that docs/metrics.md lists, by name. */
export function documentedMetrics(page: string): Map<string, DocumentedMetric> {
  const metrics = new Map<string, DocumentedMetric>();
  for (const row of page.split('\n')) {
    const [, name = '', type = '', labels = ''] = row.split('|').map((cell) => cell.trim());
    const [, metric] = /^`(\w+)`( \*)?$/.exec(name) ?? [];
    if (metric === undefined || !['counter', 'gauge', 'histogram'].includes(type)) continue;
    metrics.set(metric, { type, labels: namesIn(labels) });
  }
  return metrics;
}

/** The alerts for which docs/metrics.md has instructions. */
export function documentedAlerts(page: string): string[] {
  const [, table = ''] = /\| alert \|[^\n]*\n([\s\S]*?)\n\n?$/.exec(page) ?? [];
  return table.split('\n').flatMap((row) => namesIn(row.split('|')[1] ?? ''));
}

function namesIn(cell: string): string[] {
  return [...cell.matchAll(/`(\w+)`/g)].map(([, name = '']) => name);
}
