import { CommanderError, type CommandUnknownOpts } from '@commander-js/extra-typings';
import { type Failure, usage } from './failure.ts';

/** Options of every command that take their value as a separate word. */
const withValue = ['--profile', '--request-id'];

/**
 * The command that a command line names: a group, or one of its commands. Undefined if it names
 * none.
 */
export function commandIn(
  program: CommandUnknownOpts,
  args: readonly string[],
): { command: CommandUnknownOpts; path: string } {
  let command = program;
  const path = ['silo'];
  for (const [at, word] of args.entries()) {
    if (word.startsWith('-') || withValue.includes(args[at - 1] ?? '')) continue;
    const next = command.commands.find((each) => each.name() === word);
    if (next === undefined) break;
    command = next;
    path.push(word);
  }
  return { command, path: path.join(' ') };
}

/**
 * Rewrites `help keys create` to `keys create --help`: the parser reads only one word after `help`.
 */
export function withHelp(program: CommandUnknownOpts, args: readonly string[]): readonly string[] {
  const [first, ...words] = args;
  if (first !== 'help' || words.length === 0 || words.some((word) => word.startsWith('-'))) {
    return args;
  }
  const { command, path } = commandIn(program, words);
  const known = path.split(' ').slice(1);
  const unknown = words[known.length];
  // The words after a command without subcommands are its arguments.
  if (unknown !== undefined && command.commands.length > 0) {
    throw unknownCommand(command, unknown, path);
  }
  return [...known, '--help'];
}

/**
 * Commander's method that throws the error for an unknown first word and suggests a similar one;
 * its types leave the method out.
 */
type Complaining = { unknownCommand(): never };

/** Throws commander's error for an unknown subcommand. */
export function complainOf(command: CommandUnknownOpts): never {
  return (command as unknown as Complaining).unknownCommand();
}

/** The failure for an unknown subcommand of the command at `path`. */
export function unknownCommand(command: CommandUnknownOpts, word: string, path: string): Failure {
  try {
    command.args = [word];
    return complainOf(command);
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return usageOf(error, path);
  }
}

/** The failure for an error of commander, with the help to call for the command at `path`. */
export function usageOf({ message }: CommanderError, path: string): Failure {
  const plain = message.replace(/^error: /, '').replace(/^command-argument value/, 'value');
  return usage(plain, helpFor(path));
}

/** The command that shows how the command at `path` is used. */
export function helpFor(path: string): string {
  return path === 'silo' ? 'silo help, or --help after any command' : `${path} --help`;
}
