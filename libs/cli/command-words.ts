import { CommanderError, type CommandUnknownOpts } from '@commander-js/extra-typings';
import { type Failure, usage } from './failure.ts';

/** Options of every command whose value is a word of its own. */
const withValue = ['--profile', '--request-id'];

/** The command that a command line names, as far as there is one: a group, or one of its commands. */
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

/** `help keys create` as `keys create --help`: the parser looks at one word after `help` alone. */
export function withHelp(program: CommandUnknownOpts, args: readonly string[]): readonly string[] {
  const [first, ...words] = args;
  if (first !== 'help' || words.length === 0 || words.some((word) => word.startsWith('-'))) {
    return args;
  }
  const { command, path } = commandIn(program, words);
  const known = path.split(' ').slice(1);
  const unknown = words[known.length];
  // What follows a command that has none below it are its arguments.
  if (unknown !== undefined && command.commands.length > 0) {
    throw unknownCommand(command, unknown, path);
  }
  return [...known, '--help'];
}

/** How commander complains of the first word, with what may be meant; its types leave it out. */
type Complaining = { unknownCommand(): never };

/** Throws what commander complains of where the first word after `command` is no command of it. */
export function complainOf(command: CommandUnknownOpts): never {
  return (command as unknown as Complaining).unknownCommand();
}

/** That a word after the command at `path` is no command of it. */
export function unknownCommand(command: CommandUnknownOpts, word: string, path: string): Failure {
  try {
    command.args = [word];
    return complainOf(command);
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return usageOf(error, path);
  }
}

/** What commander complains of, and what to call to learn how the command at `path` is used. */
export function usageOf({ message }: CommanderError, path: string): Failure {
  const plain = message.replace(/^error: /, '').replace(/^command-argument value/, 'value');
  return usage(plain, helpFor(path));
}

/** What to call to learn how a command is used. */
export function helpFor(path: string): string {
  return path === 'silo' ? 'silo help, or --help after any command' : `${path} --help`;
}
