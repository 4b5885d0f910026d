import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';

const timeoutMs = 300_000;

/** The output of a command, and its exit code. */
export type Outcome = { code: number | null; output: string; errors: string };

/** Runs a command to its end, with `input` as its standard input. */
export async function run(command: string, args: string[], input = ''): Promise<Outcome> {
  const child = spawn(command, args, { timeout: timeoutMs, killSignal: 'SIGKILL' });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  child.stdin.on('error', () => {}); // a command that does not read its input may end first
  child.stdin.end(input);
  const [code, output, errors] = await Promise.all([ended, text(child.stdout), text(child.stderr)]);
  return { code, output, errors };
}
