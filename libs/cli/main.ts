import { CommanderError } from '@commander-js/extra-typings';
import { type Cli, createCli } from './cli.ts';
import { type ExitName, exitCodes } from './exit-codes.ts';
import { explain } from './explain.ts';
import { Answered, type Failure, Interrupted, usage } from './failure.ts';
import { createProgram } from './program.ts';
import { showsColour, type Terminal } from './terminal.ts';
import { toText } from './text.ts';

/** Runs one command line, and answers the exit code. */
export async function main(args: readonly string[]): Promise<number> {
  const terminal: Terminal = {
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    environment: process.env,
    directory: process.cwd(),
  };
  // The reader may close the pipe early, as `head` does.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(exitCodes.ok);
    throw error;
  });
  if (args.includes('--no-color')) process.env.NO_COLOR = '1';
  return exitCodes[await run(args, terminal, untilSignal())];
}

/** Aborts with Interrupted at the first signal; the second one ends the process at once. */
function untilSignal(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => controller.abort(new Interrupted(signal)));
  }
  return controller.signal;
}

async function run(
  args: readonly string[],
  terminal: Terminal,
  signal: AbortSignal,
): Promise<ExitName> {
  const { stdout, stderr, environment } = terminal;
  using opened = new DisposableStack();
  let complaint = '';
  let cli: Cli | undefined;
  const program = createProgram(
    (globals) => {
      cli = createCli(terminal, globals, { signal, opened });
      return cli;
    },
    (text) => {
      complaint += text;
    },
  );
  try {
    await program.parseAsync(args, { from: 'user' });
    return 'ok';
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return 'ok';
    if (error instanceof Answered) return error.exit;
    const failure = error instanceof CommanderError ? usageOf(complaint) : error;
    const { exit, blocks, json } = explain(failure, cli?.repetition());
    if (args.includes('--json')) stdout.write(`${JSON.stringify(json, undefined, 2)}\n`);
    stderr.write(toText(blocks, { colour: showsColour(stderr, environment) }));
    return exit;
  }
}

/** What commander complains of, or the help that it shows where a command is missing. */
function usageOf(complaint: string): Failure {
  const text = complaint.trim();
  if (!text.startsWith('error: ')) return usage(`What shall be done?\n${text}`);
  return usage(text.slice('error: '.length), 'silo help, or --help after any command');
}
