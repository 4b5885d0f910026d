import { readdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { type Complete, RootCommand, type Command as TabCommand } from '@bomb.sh/tab';
import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import { linesOf } from './lines-of.ts';
import { type NameKind, type Names, nameKinds, noNames } from './names.ts';

/** The parts of commander's options and arguments that are used here. */
type Parameter = { name(): string; argChoices?: readonly string[] | undefined };

/** A completion of the last word; `description` may be empty. */
export type Candidate = { value: string; description: string };

/** The library adds a last line for its own scripts. */
const directiveLines = 1;

/**
 * The candidates for the last of these unquoted words. If it may be a name, reads the names that
 * the profile among the words can see.
 */
export async function candidatesFor(
  program: CommandUnknownOpts,
  words: readonly string[],
  readNames: (profile: string | undefined) => Promise<Names>,
  directory: string,
): Promise<Candidate[]> {
  const line = separated(words);
  const typed = line.at(-1) ?? '';
  let isName = false;
  const find = (names: Names) => {
    const root = new RootCommand();
    register(program, root, root, '', (parameter, isFile) => {
      if (isFile) return files(directory, typed);
      const kind = kindOf(parameter);
      if (parameter.argChoices || kind === undefined) return parameter.argChoices ?? [];
      isName = true;
      return names[kind];
    });
    // The library treats "=" in a name as that of an option, so names are compared here.
    const asked = typed.startsWith('-') ? typed : '';
    const lines = linesOf(() => root.parse([...line.slice(0, -1), asked]));
    return lines.slice(0, -directiveLines).flatMap((each) => {
      const [value = '', description = ''] = each.split('\t');
      return value.startsWith(typed) ? { value, description } : [];
    });
  };
  const found = find(noNames);
  if (!isName) return found;
  const profileAt = line.indexOf('--profile') + 1;
  return find(await readNames(profileAt > 0 ? line[profileAt] : undefined));
}

function kindOf(parameter: Parameter): NameKind | undefined {
  return nameKinds.find((kind) => kind === parameter.name());
}

/** The value of an option, as a parameter with the name in the option's flags. */
function valueParameter(option: {
  flags: string;
  argChoices?: readonly string[] | undefined;
}): Parameter {
  const [, name = ''] = /[<[]([\w-]+)/.exec(option.flags) ?? [];
  return { name: () => name, argChoices: option.argChoices };
}

/** Registers a command and all commands below it, each with the options of its parents. */
function register(
  command: CommandUnknownOpts,
  target: TabCommand,
  root: RootCommand,
  path: string,
  valuesOf: (parameter: Parameter, isFile: boolean) => readonly string[],
): void {
  const help = command.createHelp();
  const options = [...help.visibleOptions(command), ...help.visibleGlobalOptions(command)];
  for (const option of options) {
    const name = option.long?.slice('--'.length);
    if (name === undefined) continue;
    const alias = option.short?.slice('-'.length);
    const value = valueParameter(option);
    // For an option without a value, the library takes its short flag in place of a handler.
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
      offer(() => valuesOf(argument, false)),
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

/** Splits `--option=value` into two words: the library would take the whole for an option. */
function separated(words: readonly string[]): string[] {
  return words.flatMap((word) => {
    const [, option, value] = /^(--[^=]+)=(.*)$/s.exec(word) ?? [];
    return option === undefined || value === undefined ? [word] : [option, value];
  });
}

/** The files whose path begins with `typed`; directories end in a slash. */
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
