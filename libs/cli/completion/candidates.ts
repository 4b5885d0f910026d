import { readdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { type Complete, RootCommand, type Command as TabCommand } from '@bomb.sh/tab';
import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import { type NameKind, nameKinds } from './names.ts';

type Names = Readonly<Record<NameKind, readonly string[]>>;

/** What commander knows of an option or an argument. */
type Parameter = { name(): string; argChoices?: readonly string[] | undefined };

/** Prints the candidates for the last of these words, as the scripts of @bomb.sh/tab read them. */
export function printCandidates(
  program: CommandUnknownOpts,
  words: readonly string[],
  names: Names,
  directory: string,
): void {
  const root = new RootCommand();
  const last = words.at(-1) ?? '';
  const valuesOf = (parameter: Parameter, isFile = false): readonly string[] => {
    if (isFile)
      return files(directory, last.slice(last.startsWith('-') ? last.indexOf('=') + 1 : 0));
    const kind = kindOf(parameter);
    // A shell would expand what looks like a pattern.
    const choices = parameter.argChoices?.filter((choice) => !choice.includes('*'));
    return choices ?? (kind === undefined ? [] : names[kind]);
  };
  register(program, root, root, '', valuesOf);
  root.parse(separated(words));
}

/** The kinds of names that could be completed on this command line. */
export function kindsWanted(program: CommandUnknownOpts, words: readonly string[]): NameKind[] {
  let command = program;
  for (const word of words) {
    command = command.commands.find((each) => each.name() === word) ?? command;
  }
  const parameters = [...command.registeredArguments, ...command.options.map(valueParameter)];
  return parameters.flatMap((parameter) => kindOf(parameter) ?? []);
}

function kindOf(parameter: Parameter): NameKind | undefined {
  return nameKinds.find((kind) => kind === parameter.name());
}

/** The value of an option as a parameter of the name that its flags give it. */
function valueParameter(option: {
  flags: string;
  argChoices?: readonly string[] | undefined;
}): Parameter {
  const [, name = ''] = /[<[]([\w-]+)/.exec(option.flags) ?? [];
  return { name: () => name, argChoices: option.argChoices };
}

/** Registers a command and all commands below it, each with the options of those above it. */
function register(
  command: CommandUnknownOpts,
  target: TabCommand,
  root: RootCommand,
  path: string,
  valuesOf: (parameter: Parameter, isFile?: boolean) => readonly string[],
): void {
  const help = command.createHelp();
  const options = [...help.visibleOptions(command), ...help.visibleGlobalOptions(command)];
  for (const option of options) {
    const name = option.long?.slice('--'.length);
    if (name === undefined) continue;
    const alias = option.short?.slice('-'.length);
    const value = valueParameter(option);
    // A string in the place of the handler is the short flag of an option without a value.
    if (!option.required && !option.optional) target.option(name, option.description, alias);
    else {
      const isFile = value.name() === 'file';
      target.option(
        name,
        option.description,
        offer(() => valuesOf(value, isFile)),
        alias,
      );
    }
  }
  for (const argument of command.registeredArguments) {
    target.argument(
      argument.name(),
      offer(() => valuesOf(argument)),
      argument.variadic,
    );
  }
  for (const below of help.visibleCommands(command)) {
    const name = `${path}${below.name()}`;
    const summary = below.summary() || below.description();
    register(below, root.command(name, summary), root, `${name} `, valuesOf);
  }
}

function offer(values: () => readonly string[]) {
  return (complete: Complete) => {
    for (const value of values()) complete(value, '');
  };
}

/** `--option=value` as two words, but for the last word: the library takes it for an option alone. */
function separated(words: readonly string[]): string[] {
  return words.flatMap((word, index) => {
    const [, option, value] = /^(--[^=]+)=(.*)$/.exec(word) ?? [];
    const isLast = index === words.length - 1;
    return isLast || option === undefined || value === undefined ? [word] : [option, value];
  });
}

/** The files that begin with this; directories end in a slash. */
function files(directory: string, typed: string): string[] {
  const parent = typed.endsWith('/') ? typed : dirname(typed);
  try {
    const entries = readdirSync(resolve(directory, parent), { withFileTypes: true });
    return entries.map((entry) => {
      const path = typed.startsWith('./')
        ? `./${join(parent, entry.name)}`
        : join(parent, entry.name);
      return entry.isDirectory() ? `${path}/` : path;
    });
  } catch {
    return [];
  }
}
