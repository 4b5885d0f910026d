import { Command, type CommandUnknownOpts } from '@commander-js/extra-typings';
import { complainOf } from './command-words.ts';

/** A group of commands. Without a command it runs its first one, which shows or lists. */
export function group(
  name: string,
  description: string,
  [first, ...others]: [first: CommandUnknownOpts, ...others: CommandUnknownOpts[]],
): CommandUnknownOpts {
  const command = new Command(name)
    .description(description)
    .addHelpText('after', `\nWithout a command: silo ${name} ${first.name()}`)
    .addCommand(first, { isDefault: true });
  for (const each of others) command.addCommand(each);
  return command.hook('preSubcommand', (_, taken) => {
    const [word] = command.args;
    if (word === undefined || word.startsWith('-') || word === taken.name()) return;
    // The parser has passed a mistyped command to the first one as its argument.
    complainOf(command);
  });
}
