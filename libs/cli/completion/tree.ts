import type { CommandUnknownOpts } from '@commander-js/extra-typings';

/** What the word after an option can be: one of a few, a file, or anything. */
type Values = readonly string[] | 'file' | 'any';

type TreeOption = {
  flags: string[];
  description: string;
  /** Undefined where the option takes no value. */
  values: Values | undefined;
};

/** One command, as completion sees it. */
export type TreeNode = {
  /** '' for the program itself, else such as `/project/create`. */
  path: string;
  commands: { name: string; description: string }[];
  options: TreeOption[];
  /** What its arguments can be, where that is one of a few. */
  choices: string[];
};

/** All commands below one, itself included; each with the options of those above it. */
export function treeOf(program: CommandUnknownOpts): TreeNode[] {
  return nodesOf(program, '', []);
}

function nodesOf(
  command: CommandUnknownOpts,
  path: string,
  inherited: readonly TreeOption[],
): TreeNode[] {
  const { options: visible, commands, arguments: args } = visibleOf(command);
  const options = [...visible.filter(({ flags }) => !isHelp(flags)), ...inherited];
  const node: TreeNode = {
    path,
    commands: commands.map((each) => ({
      name: each.name(),
      description: each.summary() || each.description(),
    })),
    options: [...options, ...visible.filter(({ flags }) => isHelp(flags))],
    choices: args,
  };
  const below = commands.filter((each) => each.name() !== 'help');
  return [node, ...below.flatMap((each) => nodesOf(each, `${path}/${each.name()}`, options))];
}

function visibleOf(command: CommandUnknownOpts) {
  const help = command.createHelp();
  return {
    commands: help.visibleCommands(command),
    options: help.visibleOptions(command).map(
      (option): TreeOption => ({
        flags: [option.short, option.long].filter((flag) => flag !== undefined),
        description: option.description,
        values:
          option.required || option.optional
            ? valuesOf(option.flags, option.argChoices)
            : undefined,
      }),
    ),
    arguments: command.registeredArguments.flatMap((argument) => argument.argChoices ?? []),
  };
}

function valuesOf(flags: string, choices: readonly string[] | undefined): Values {
  // A shell would expand what looks like a pattern.
  if (choices !== undefined) return choices.filter((choice) => !choice.includes('*'));
  return flags.includes('<file>') ? 'file' : 'any';
}

function isHelp(flags: readonly string[]): boolean {
  return flags.includes('--help');
}
