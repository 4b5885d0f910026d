import { spawn } from 'node:child_process';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

const outputCharactersMax = 4_000;

export interface RunOptions {
  environment: NodeJS.ProcessEnv;
  /** Growth of the files in this directory counts as progress. */
  directory: string;
  /** Time limit without progress. */
  stallMs: number;
  /** Time limit of the whole command. */
  timeoutMs: number;
  signal?: AbortSignal | undefined;
}

/**
 * Runs a download command, and ends it if no more data arrives. Returns the end of its standard
 * output. If the command fails or is ended, throws with the end of all its output.
 */
export async function runWhileProgressing(
  command: string,
  args: readonly string[],
  { environment, directory, stallMs, timeoutMs, signal }: RunOptions,
): Promise<string> {
  const child = spawn(command, args, {
    env: environment,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
    signal,
  });
  let output = '';
  let standardOutput = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8');
    stream.on('data', (text: string) => {
      output = (output + text).slice(-outputCharactersMax);
      if (stream !== child.stdout) return;
      standardOutput = (standardOutput + text).slice(-outputCharactersMax);
    });
  }
  const watch = watchProgress(directory, { stallMs, timeoutMs }, (reason) => {
    output = `${reason}\n${output}`;
    // Kills the whole process group: a shim or shell must not leave the real command running.
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  });
  try {
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', resolve);
    });
    if (code !== 0) throw new Error(lastLinesOf(output) || `${command} ended with ${code}`);
    return standardOutput;
  } finally {
    watch[Symbol.dispose]();
  }
}

function watchProgress(
  directory: string,
  { stallMs, timeoutMs }: { stallMs: number; timeoutMs: number },
  giveUp: (reason: string) => void,
): Disposable {
  const began = performance.now();
  let sizeBytes = 0;
  let grewAt = began;
  const timer = setInterval(async () => {
    const nowBytes = await sizeOf(directory);
    const now = performance.now();
    if (nowBytes !== sizeBytes) {
      sizeBytes = nowBytes;
      grewAt = now;
    }
    const reason =
      now - grewAt > stallMs
        ? `nothing arrived for ${stallMs / 1000} s`
        : now - began > timeoutMs
          ? `not finished after ${timeoutMs / 1000} s`
          : undefined;
    if (reason === undefined) return;
    clearInterval(timer);
    giveUp(reason);
  }, 250);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

async function sizeOf(directory: string): Promise<number> {
  const entries = await readdir(directory, { recursive: true }).catch(() => []);
  const sizes = await Promise.all(
    entries.map((entry) =>
      stat(join(directory, entry)).then(
        (found) => found.size,
        () => 0,
      ),
    ),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}

function lastLinesOf(output: string): string {
  return output.trim().split('\n').slice(-3).join('; ');
}
