import { CommanderError } from '@commander-js/extra-typings';
import { abortAtSignal, endProcess } from '@silo/runtime/command.ts';
import { createProgram } from './program.ts';

/** Runs one command line of `silo-admin`, and ends the process with its exit code. */
export async function main(args: readonly string[]): Promise<never> {
  const signal = abortAtSignal((name) => new Error(`interrupted by ${name}`));
  return await endProcess(await run(args, signal));
}

async function run(args: readonly string[], signal: AbortSignal): Promise<number> {
  const context = { print: (line: string) => console.log(line), signal };
  try {
    await createProgram(context).parseAsync(args, { from: 'user' });
    return 0;
  } catch (error) {
    // Commander has printed its own errors.
    if (error instanceof CommanderError) return error.exitCode;
    console.error(`error: ${error instanceof Error ? error.message : error}`);
    return 1;
  }
}
