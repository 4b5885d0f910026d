import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { ExecutionContext } from 'ava';
import { eventually } from '../harness/eventually.ts';

/** A subscriber of docs/events.md, and how to start it. */
export type Program = { command: string; args: string[]; environment?: Record<string, string> };

/** Runs a subscriber; `lines` are those that it has written so far. */
export function run(t: ExecutionContext, { command, args, environment }: Program, natsUrl: string) {
  const child = spawn(command, args, {
    cwd: import.meta.dirname,
    env: { ...process.env, ...environment, NATS_URL: natsUrl },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  t.teardown(() => child.kill('SIGKILL'));
  const lines: string[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(line));
  return {
    lines,
    /** Waits for a line. */
    until: (wanted: string) =>
      eventually(() => {
        if (!lines.includes(wanted)) throw new Error(`no "${wanted}" in ${lines.join('; ')}`);
      }),
    stop: async () => {
      child.kill('SIGTERM');
      await exited;
    },
  };
}
