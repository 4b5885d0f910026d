import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { childrenOf } from './usage.ts';

const firstCore = 0;
const secondCore = 1;

/**
 * Gives the processes that this one started for a state directory the second core, and all others,
 * this one included, the first: two deployments that do not share a processor. Processes that start
 * later inherit the core of the process that starts them. Linux only, by `taskset` of util-linux.
 */
export function giveOwnCore(directory: string): void {
  if (availableParallelism() < 2) throw new Error('two deployments need two cores');
  pin(process.pid, firstCore);
  for (const pid of childrenOf(process.pid)) {
    pin(pid, belongsTo(pid, directory) ? secondCore : firstCore);
  }
}

function pin(pid: number, core: number): void {
  execFileSync('taskset', ['--all-tasks', '--pid', '--cpu-list', `${core}`, `${pid}`]);
}

/** Whether a process is a server whose files, or a service whose certificates are there. */
function belongsTo(pid: number, directory: string): boolean {
  const read = (name: string) => readFileSync(`/proc/${pid}/${name}`, 'utf8');
  return (
    read('cmdline').includes(`${directory}/`) || read('environ').includes(`\0TLS_CA=${directory}/`)
  );
}
