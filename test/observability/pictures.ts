// Runs for `npm run pictures`: draws the dashboards of deploy/grafana into docs/dashboards, as
// Prometheus evaluates their expressions while `npm run demo` uses its own Silo.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '@silo/embedded/ports.ts';
import { startSilo } from '@silo/embedded/silo.ts';
import { eventually } from '../harness/eventually.ts';
import { findGoTool, prometheus } from '../harness/go-tool.ts';
import { dashboardSvg, type Line, type Panel } from './chart.ts';

const root = join(import.meta.dirname, '../..');
const demoRuns = 8;
const scrapeSeconds = 2;
const points = 48;

type Target = { expr: string; legendFormat: string };
type Dashboard = {
  title: string;
  panels: { title: string; fieldConfig: { defaults: { unit: string } }; targets: Target[] }[];
};
type Result = { metric: Record<string, string>; values: [number, string][] };

const log = (line: string) => console.log(line);
const directory = await mkdtemp(join(tmpdir(), 'silo-pictures-'));
try {
  const binary = await findGoTool(prometheus, { log });
  if (binary === undefined) throw new Error('there is no Prometheus');
  await using silo = await startSilo({ directory: join(directory, 'silo'), freePorts: true, log });
  await using server = await startPrometheus(
    binary,
    Object.values(silo.endpoints.services).map(({ metrics }) => metrics),
  );
  const startSeconds = Date.now() / 1_000;
  for (let run = 1; run <= demoRuns; run++) {
    log(`the demo, ${run} of ${demoRuns}`);
    await runDemo(join(directory, 'silo'));
  }
  await draw(server.url, startSeconds, Date.now() / 1_000);
} finally {
  await rm(directory, { recursive: true, force: true, maxRetries: 10 });
}

async function startPrometheus(binary: string, targets: string[]) {
  const port = await freePort();
  const config = {
    global: { scrape_interval: `${scrapeSeconds}s`, scrape_timeout: `${scrapeSeconds}s` },
    scrape_configs: [{ job_name: 'silo', honor_labels: true, static_configs: [{ targets }] }],
  };
  // JSON is valid YAML.
  await writeFile(join(directory, 'prometheus.yml'), JSON.stringify(config));
  const args = [
    `--config.file=${join(directory, 'prometheus.yml')}`,
    `--storage.tsdb.path=${join(directory, 'prometheus')}`,
    `--web.listen-address=127.0.0.1:${port}`,
  ];
  const child = spawn(binary, args, { stdio: 'ignore' });
  const url = `http://127.0.0.1:${port}`;
  await eventually(async () => {
    const { ok, status } = await fetch(`${url}/-/ready`);
    if (!ok) throw new Error(`Prometheus answers ${status}`);
  });
  return { url, [Symbol.asyncDispose]: () => end(child) };
}

async function runDemo(siloDirectory: string): Promise<void> {
  const child = spawn(process.execPath, [join(root, 'test/demo/demo.ts')], {
    env: { ...process.env, SILO_DIRECTORY: siloDirectory },
    stdio: 'ignore',
  });
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`the demo ended with ${code}`);
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  child.kill('SIGTERM');
  await once(child, 'close');
}

async function draw(url: string, startSeconds: number, endSeconds: number): Promise<void> {
  const step = Math.max(scrapeSeconds, Math.ceil((endSeconds - startSeconds) / points));
  const range = { start: startSeconds, end: endSeconds, step };
  const target = join(root, 'docs/dashboards');
  await mkdir(target, { recursive: true });
  const dashboards = join(root, 'deploy/grafana');
  for (const file of await readdir(dashboards)) {
    const { title, panels }: Dashboard = JSON.parse(await readFile(join(dashboards, file), 'utf8'));
    const drawn: Panel[] = [];
    for (const panel of panels) {
      const lines = await Promise.all(panel.targets.map((each) => query(url, each, range)));
      const { unit } = panel.fieldConfig.defaults;
      drawn.push({ title: panel.title, unit, lines: lines.flat() });
    }
    const svg = dashboardSvg(title, drawn);
    await writeFile(join(target, file.replace('.json', '.svg')), svg);
    log(`${title}: ${drawn.length} panels, ${Math.round(svg.length / 1_024)} KB`);
  }
}

async function query(
  url: string,
  { expr, legendFormat }: Target,
  { start, end, step }: { start: number; end: number; step: number },
): Promise<Line[]> {
  const text = expr
    .replaceAll('$__rate_interval', `${Math.max(10, 4 * step)}s`)
    .replaceAll('$service', '.*');
  const parameters = { query: text, start: `${start}`, end: `${end}`, step: `${step}` };
  const response = await fetch(`${url}/api/v1/query_range?${new URLSearchParams(parameters)}`);
  if (!response.ok) throw new Error(`${text}: ${await response.text()}`);
  const { data } = (await response.json()) as { data: { result: Result[] } };
  return data.result.map(({ metric, values }) => {
    const at = new Map(values.map(([time, value]) => [Math.round((time - start) / step), value]));
    const count = Math.floor((end - start) / step) + 1;
    return {
      name: legendFormat.replaceAll(/\{\{(\w+)\}\}/g, (_, label) => metric[label] ?? ''),
      values: Array.from({ length: count }, (_, index) => {
        const value = Number(at.get(index) ?? Number.NaN);
        return Number.isFinite(value) ? value : undefined;
      }),
    };
  });
}
