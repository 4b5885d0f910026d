import { readFileSync } from 'node:fs';
import { glob } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { parse } from 'yaml';
import { documentedAlerts, documentedMetrics } from './documented-metrics.ts';
import { readBy } from './expressions.ts';

const root = join(import.meta.dirname, '../..');
const read = (file: string) => readFileSync(join(root, file), 'utf8');
const page = read('docs/metrics.md');

type Rules = { groups: { rules: { alert: string; expr: string }[] }[] };
type Dashboard = { panels: { targets: { expr: string }[] }[] };
type RuleTests = { tests: { alert_rule_test: { alertname: string }[] }[] };

function rules() {
  const { groups }: Rules = parse(read('deploy/prometheus/rules.yml'));
  return groups.flatMap((group) => group.rules);
}

test('every expression of the dashboards and alerts reads metrics and labels that exist', async (t) => {
  const documented = documentedMetrics(page);
  const expressions = rules().map(({ expr }) => expr);
  for await (const file of glob('deploy/grafana/*.json', { cwd: root })) {
    const { panels }: Dashboard = JSON.parse(read(file));
    expressions.push(...panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)));
  }
  t.true(expressions.length > 50);
  // Labels of the scrape itself.
  const labelsOfAll = ['service', 'region', 'instance', 'job', 'le'];
  for (const expression of expressions) {
    const { metrics, labels } = readBy(expression);
    t.true(metrics.length > 0, expression);
    const rows = metrics.flatMap((name) => documented.get(nameOf(name)) ?? []);
    t.is(rows.length, metrics.filter((name) => name !== 'up').length, expression);
    const known = new Set([...labelsOfAll, ...rows.flatMap((row) => row.labels)]);
    t.deepEqual(
      labels.filter((label) => !known.has(label)),
      [],
      expression,
    );
  }
});

/** The name of the histogram for the series of a histogram. */
function nameOf(series: string): string {
  return series.replace(/_(bucket|sum|count)$/, '');
}

test('an expression that names no metric, or is not PromQL, is detected', (t) => {
  t.deepEqual(readBy('rate(silo_no_such{reason=~"$x"}[$__rate_interval])'), {
    metrics: ['silo_no_such'],
    labels: ['reason'],
  });
  t.throws(() => readBy('sum by (rate(silo_log_sequence)'), { message: /not PromQL/ });
});

test('every alert is tested and has instructions in docs/metrics.md', (t) => {
  const alerts = rules().map(({ alert }) => alert);
  t.deepEqual(documentedAlerts(page).sort(), alerts.toSorted());
  const { tests }: RuleTests = parse(read('deploy/prometheus/rules.test.yml'));
  const tested = tests.flatMap((each) => each.alert_rule_test.map(({ alertname }) => alertname));
  t.deepEqual([...new Set(tested)].sort(), alerts.toSorted());
});
