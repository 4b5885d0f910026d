// Runs for `npm run check:rules`: promtool on the files of deploy/prometheus.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { findGoTool, promtool } from '../harness/go-tool.ts';

const directory = join(import.meta.dirname, '../../deploy/prometheus');
const checks = [
  ['check', 'config', 'prometheus.yml'],
  ['test', 'rules', 'rules.test.yml'],
];

const found = await findGoTool(promtool, { log: (line) => console.log(line) });
for (const args of found === undefined ? [] : checks) {
  const { status, error } = spawnSync(found ?? '', args, { cwd: directory, stdio: 'inherit' });
  if (error) throw error;
  if (status !== 0) process.exitCode = 1;
}
