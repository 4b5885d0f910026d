import { CommanderError } from '@commander-js/extra-typings';
import { abortAtSignal, endProcess } from '@silo/runtime/command.ts';
import { type Cli, createCli } from './cli.ts';
import { commandIn, helpFor, unknownCommand, usageOf, withHelp } from './command-words.ts';
import { type ExitName, exitCodes } from './exit-codes.ts';
import { explain } from './explain.ts';
import { Answered, type Failure, Interrupted, usage } from './failure.ts';
import { createProgram } from './program.ts';
import { showsColour, type Terminal } from './terminal.ts';
import { toText } from './text.ts';

/** Runs one command line, and ends the process with its exit code. */
export async function main(args: readonly string[]): Promise<never> {
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
  const signal = abortAtSignal((name) => new Interrupted(name));
  return await endProcess(exitCodes[await run(args, terminal, signal)]);
}

async function run(
  args: readonly string[],
  terminal: Terminal,
  signal: AbortSignal,
): Promise<ExitName> {
  const { stdout, stderr, environment } = terminal;
  using opened = new DisposableStack();
  let cli: Cli | undefined;
  const program = createProgram((globals) => {
    cli = createCli(terminal, globals, { signal, opened });
    return cli;
  });
  try {
    await program.parseAsync(withHelp(program, args), { from: 'user' });
    return 'ok';
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return 'ok';
    if (error instanceof Answered) return error.exit;
    const isComplaint = error instanceof CommanderError;
    const isBare = program.args.length === 0;
    // Without a command the answer is the help; but scripts, which expect JSON, get an error.
    if (isComplaint && error.code === helpInstead && isBare && !args.includes('--json')) {
      program.outputHelp();
      return 'ok';
    }
    const failure = isComplaint ? failureOf(error, commandIn(program, args)) : error;
    const { exit, blocks, json } = explain(failure, {
      ...{ repetition: cli?.repetition(), profile: cli?.globals().profile },
    });
    if (args.includes('--json')) stdout.write(`${JSON.stringify(json, undefined, 2)}\n`);
    stderr.write(toText(blocks, { colour: showsColour(stderr, environment) }));
    return exit;
  }
}

/** Commander's error code when it shows the help that nobody requested. */
const helpInstead = 'commander.help';

function failureOf(
  error: CommanderError,
  { command, path }: ReturnType<typeof commandIn>,
): Failure {
  if (error.code !== helpInstead) return usageOf(error, path);
  // No word was given, or `help` and then an unknown command.
  const [, word] = command.args;
  if (word === undefined) return usage('A command is missing.', helpFor(path));
  return unknownCommand(command, word, path);
}
